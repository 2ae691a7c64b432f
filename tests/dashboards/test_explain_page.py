"""The page that explains: the verdict comes first, and a map that fails is marked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stores

Open = Callable[..., Any]


def selectbox(page: Any, label: str) -> Any:
    return next(box for box in page.selectbox if box.label == label)


def titles(page: Any) -> list[str]:
    return [text.value for text in page.markdown if text.value.startswith("**")]


def tab(page: Any, name: str) -> Any:
    page.session_state["explain-tabs"] = name
    return page.run()


def test_what_holds_is_said_first_with_the_truth(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "explain", run=explained_run)
    (banner,) = page.success
    assert banner.value.startswith("These maps hold.")
    assert "within one electrode of a true source in" in banner.value
    assert not page.error
    assert any("The recordings themselves, by class" in title for title in titles(page))


def test_a_failing_map_is_marked_in_the_banner_and_in_its_title(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "explain", run=explained_run)
    pipeline = ("dbconformer", "none", "none")
    selectbox(page, "Decoder").set_value(pipeline).run()
    selectbox(page, "Method").set_value(stores.FAILS).run()
    (banner,) = page.error
    assert banner.value.startswith("These maps fail their sanity checks.")
    assert any("FAILS ITS SANITY CHECKS" in title for title in titles(page))
    assert not page.exception


def test_an_unchecked_map_is_not_said_to_hold(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "explain", run=explained_run)
    selectbox(page, "Decoder").set_value(("dbconformer", "none", "none")).run()
    selectbox(page, "Method").set_value(stores.UNCHECKED).run()
    assert page.warning[0].value.startswith("These maps are unchecked.")
    assert not page.success


def test_methods_bear_the_symbol_of_their_verdict(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "explain", run=explained_run)
    selectbox(page, "Decoder").set_value(("dbconformer", "none", "none")).run()
    options = selectbox(page, "Method").options
    assert "✔ integrated gradients" in options
    assert "✘ channel attention" in options
    assert "? attention" in options


@pytest.mark.parametrize(
    "name", ["Two axes at once", "Patterns", "Subjects", "Sanity checks", "Artifacts"]
)
def test_every_tab_draws(open_page: Open, full: Path, explained_run: str, name: str) -> None:
    page = tab(open_page(full, "explain", run=explained_run), name)
    assert not page.exception
    assert titles(page) or page.info


def test_one_subject_and_values_instead_of_shares(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "explain", run=explained_run)
    selectbox(page, "Subject").set_value("2").run()
    (scale,) = page.get("button_group")
    scale.set_value(["value"]).run()
    assert not page.exception
    assert not any("interval of the mean" in text.value for text in page.caption)


def test_a_run_that_was_not_explained_says_how(open_page: Open, tmp_path: Path) -> None:
    stores.score_run(tmp_path, 2, models=("csp_lda",))
    page = open_page(tmp_path, "explain")
    assert "No run has been explained yet." in page.info[0].value
    assert page.code[0].value == "neurodecode explain RUN"


@pytest.mark.parametrize("damage", ["", "[]", "{"])
def test_a_damaged_summary_is_one_line(open_page: Open, tmp_path: Path, damage: str) -> None:
    run = stores.explained(stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",)))
    (run.path / "explain" / "summary.json").write_text(damage)
    page = open_page(tmp_path, "explain")
    assert not page.exception
    assert "neurodecode explain" in page.error[0].value


def test_maps_without_a_verdict_are_unchecked(open_page: Open, tmp_path: Path) -> None:
    run = stores.explained(stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",)))
    path = run.path / "explain" / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps({**summary, "methods": [], "curves": [], "reliance": []}))
    page = open_page(tmp_path, "explain")
    assert not page.exception
    assert page.warning[0].value.startswith("These maps are unchecked")


def test_four_classes_without_positions_and_without_the_recordings_maps(
    open_page: Open, tmp_path: Path
) -> None:
    classes = ("left_hand", "right_hand", "feet", "tongue")
    run = stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",), classes=classes)
    stores.explained(run)
    for path in (run.path / "explain").glob("data-*"):
        path.unlink()
    page = open_page(tmp_path, "explain")
    assert not page.exception
    words = "no map over electrodes or in frequency or in time of the recordings themselves"
    assert any(words in text.value for text in page.caption)


def test_no_readable_map_is_a_message(open_page: Open, tmp_path: Path) -> None:
    run = stores.explained(stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",)))
    for path in (run.path / "explain").glob("*.safetensors"):
        shutil.copyfile(run.path / "config.toml", path)
    page = open_page(tmp_path, "explain")
    assert not page.exception
    assert "No map of" in page.info[0].value
