"""The page about cost: modelled energy says that it is modelled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import stores

Open = Callable[..., Any]


def written(page: Any) -> str:
    return "\n".join(text.value for part in (page.markdown, page.caption, page.header)
                     for text in part)  # fmt: skip


def test_modelled_energy_is_called_modelled(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "energy", run=explained_run)
    assert not page.exception
    assert "MODELLED" in page.header[0].value
    assert "**MODELLED energy of one window, by decoder**" in written(page)
    assert "**How much each layer spikes**" in written(page)
    assert "**Score against time for decoders that stop early**" in written(page)


def test_a_spiking_net_stands_beside_its_twin(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "energy", run=explained_run)
    twins = page.dataframe[0].value
    assert twins["twin"].tolist() == ["dbconformer", "dbconformer + euclidean:causal"]


def test_classical_decoders_alone_have_no_operations(open_page: Open, tmp_path: Path) -> None:
    stores.with_energy(stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",)))
    page = open_page(tmp_path, "energy")
    assert not page.exception
    assert "Only nets are counted" in page.info[0].value


def test_early_exits_alone_are_shown(open_page: Open, tmp_path: Path) -> None:
    run = stores.score_run(tmp_path, 2, models=("spiking_dbconformer",), aligns=("none",))
    stores.with_exits(run)
    page = open_page(tmp_path, "energy")
    assert not page.exception
    assert f"neurodecode energy {run.id}" in page.info[0].value
    assert "stop early" in written(page)


def test_a_damaged_account_is_one_line(open_page: Open, tmp_path: Path) -> None:
    run = stores.score_run(tmp_path, 2, models=("csp_lda",))
    (run.path / "energy.json").write_text('{"models": [')
    page = open_page(tmp_path, "energy")
    assert not page.exception
    assert f"neurodecode energy {run.id}" in page.error[0].value


def test_a_run_that_was_not_counted_says_how(open_page: Open, tmp_path: Path) -> None:
    stores.score_run(tmp_path, 2, models=("csp_lda",))
    page = open_page(tmp_path, "energy")
    assert page.code[0].value == "neurodecode energy RUN"
