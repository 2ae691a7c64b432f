"""Accounts of energy as tables: units, what is left out, and which nets are twins."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.core.errors import StoreError
from neurodecode.results import energy
from neurodecode.results.store import Run


def entry(model: str, *, rate: float | None = None, scale: float = 1.0, **more: Any) -> Any:
    nj = {"operations": 1e3 * scale, "memory": 2e3 * scale, "memory_int8": 500.0 * scale,
          "quantised": None if rate is None else 250.0}  # fmt: skip
    return {
        "model": model, "align": "none", "clean": "none", "score": 0.8, "n_params": 7,
        "rate": rate, "bits": rate and 3, "macs": 1e6, "acs": 0.0, "modelled_nj": nj,
        "latency_ms": {"p50": 1.5, "p99": 3.0},
        "layers": [{"layer": "a", "kind": "matrix", "macs": 1e6, "acs": 0.0, "rate": rate,
                    "modelled_nj": nj}], **more,
    }  # fmt: skip


CLASSICAL = {"model": "csp_lda", "align": "none", "clean": "none", "score": 0.7, "n_params": 0}


def test_energies_are_in_microjoules_and_classical_decoders_are_left_out() -> None:
    table = energy.energy_table({"models": [CLASSICAL, entry("dbconformer")]})
    (line,) = table.to_dict("records")
    assert (line["operations"], line["memory"], line["memory_int8"]) == (1.0, 2.0, 0.5)
    assert np.isnan(line["quantised"])
    assert (line["p50_ms"], line["p99_ms"]) == (1.5, 3.0)


def test_an_account_of_classical_decoders_alone_is_an_empty_table() -> None:
    document = {"models": [CLASSICAL]}
    table = energy.energy_table(document)
    assert table.empty
    assert "memory_int8" in table
    assert energy.twins(table).empty
    assert energy.layer_table(document).empty


@pytest.mark.parametrize("twin", ["dbconformer", "braindecode:DBConformer"])
def test_a_spiking_net_stands_beside_the_net_of_its_name(twin: str) -> None:
    models = [
        entry(twin, scale=2.0, score=0.75),
        entry("spiking_dbconformer", rate=0.1),
        entry("mvpformer"),
        entry(twin, align="euclidean:causal"),
    ]
    (line,) = energy.twins(energy.energy_table({"models": models})).to_dict("records")
    assert line["twin"] == twin
    assert line["gain"] == pytest.approx(0.05)
    assert (line["operations"], line["memory_int8"]) == (0.5, 0.5)
    assert line["counterpart"] == 2.0  # 0.5 uJ in int8 against 0.25 uJ


def test_layers_are_in_the_order_of_the_account() -> None:
    table = energy.layer_table({"models": [entry("dbconformer"), entry("spiking_lmu", rate=0.2)]})
    assert table["decoder"].tolist() == ["dbconformer", "spiking_lmu"]
    assert table["rate"].isna().tolist() == [True, False]


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"models": 3}', '{"models": ['])
def test_a_file_that_is_missing_or_damaged_says_which_command_makes_it(
    tmp_path: Path, text: str | None
) -> None:
    run = Run(tmp_path / "run")
    run.path.mkdir()
    for name in ("energy.json", "exit.json"):
        if text is not None:
            (run.path / name).write_text(text)
    with pytest.raises(StoreError, match="neurodecode energy run"):
        energy.read_energy(run)
    with pytest.raises(StoreError, match="neurodecode exit run"):
        energy.read_exits(run)


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    run = Run(tmp_path)
    document = {"models": [CLASSICAL]}
    (run.path / "energy.json").write_text(json.dumps(document))
    assert energy.read_energy(run) == document


def test_exits_are_a_table_of_the_curve_and_one_of_the_rules() -> None:
    models = [
        {
            "model": "spiking_lmu", "align": "none", "clean": "none",
            "curve": [{"rule": "fixed", "bound": 1, "time": 0.5, "score": 0.6}],
            "lines": [{"rule": "whole", "time": 4.0, "score": 0.7, "change": 0.0}],
        }
    ]  # fmt: skip
    curves, rules = energy.exit_tables({"models": models})
    assert curves[["decoder", "time", "score"]].values.tolist() == [["spiking_lmu", 0.5, 0.6]]
    assert rules["rule"].tolist() == ["whole"]
    empty, none = energy.exit_tables({"models": []})
    assert empty.empty
    assert none.empty
