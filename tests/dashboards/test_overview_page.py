from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stores

from neurodecode.show.figures.figure import Figure

Open = Callable[..., Any]
HERE, THERE = "synthetic", "eegmmidb13"


def _lines(page: Any) -> list[str]:
    return list(page.dataframe[-1].value["run"])


def test_every_run_is_a_line_and_the_folder_is_named(open_page: Open, full: Path) -> None:
    page = open_page(full)
    assert not page.exception
    runs = {path.parent.name for path in full.glob("*/meta.json")}
    assert set(_lines(page)) == runs
    assert "runs" in page.header[0].value
    assert any(str(full) in caption.value for caption in page.caption)


def test_filters_are_of_what_is_there(open_page: Open, full: Path) -> None:
    page = open_page(full)
    metric = next(box for box in page.selectbox if box.label == "Metric")
    assert metric.value == "balanced_accuracy"
    metric.select("roc_auc").run()
    assert not page.exception
    assert any("area under the ROC curve" in text.value for text in page.markdown)
    protocol = next(box for box in page.selectbox if box.label == "Protocol")
    protocol.select("pseudo-online").run()
    assert not page.exception


def test_every_run_is_drawn_newest_first_until_a_data_set_is_chosen(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "fitted", lambda self: drawn.append(self) or self.chart)
    for name, dataset in (("a-11111111", HERE), ("b-22222222", HERE), ("c-33333333", THERE)):
        stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",), name=name,
                         dataset=dataset)  # fmt: skip
    page = open_page(tmp_path)
    groups = [group.rpartition(" ")[2] for group in drawn[-1].table["group"]]
    assert groups == ["(SIMULATED)", "22222222", "11111111"]
    box = next(box for box in page.selectbox if box.label == "Data set")
    assert box.options == ["all", THERE, HERE]
    box.select(THERE).run()
    assert not page.exception
    assert set(drawn[-1].table["run"]) == {"c-33333333"}
    assert len(_lines(page)) == 3  # the list is of all runs still


def test_broken_runs_are_named_with_their_reason(open_page: Open, tmp_path: Path) -> None:
    stores.score_run(tmp_path, 2, models=("csp_lda",))
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "meta.json").write_text("{")
    page = open_page(tmp_path)
    assert not page.exception
    assert "half: its meta.json cannot be read" in page.warning[0].value
    assert len(_lines(page)) == 1


def test_an_empty_folder_says_what_to_do(open_page: Open, tmp_path: Path) -> None:
    page = open_page(tmp_path)
    assert not page.exception
    assert "no run" in page.info[0].value
    assert page.code[0].value == "neurodecode dashboard --demo"


def test_a_new_fold_is_seen_at_once(open_page: Open, tmp_path: Path) -> None:
    run = stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",))
    last = run.fold_file(run.meta()["folds"][-1])
    kept = last.read_bytes()
    last.unlink()
    page = open_page(tmp_path)
    assert list(page.dataframe[-1].value["fits"]) == ["1 of 2"]
    last.write_bytes(kept)
    page.run()
    assert list(page.dataframe[-1].value["fits"]) == ["2 of 2"]


def test_a_demonstration_is_called_one_on_every_page(
    open_page: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.score_run(tmp_path, 2, models=("csp_lda", "ts_lr"))
    monkeypatch.setenv("NEURODECODE_DEMONSTRATION", "1")
    for name in ("overview", "compare"):
        said = open_page(tmp_path, name).info[0].value
        assert "DEMONSTRATION" in said
        assert "SIMULATED" in said
