"""Compare, subjects, decisions, learning and provenance: what a choice changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stores

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs on the same people, one of which learned from less."""
    folder = tmp_path_factory.mktemp("scores")
    stores.score_run(folder, 4, models=("csp_lda", "ts_lr", "dbconformer"), aligns=("none",),
                     sessions=2, name="mi-synthetic-first", n_train=60)  # fmt: skip
    stores.score_run(folder, 4, models=("csp_lda", "dbconformer"), aligns=("none",),
                     name="mi-synthetic-second", n_train=200)  # fmt: skip
    return folder


def _box(page: Any, label: str) -> Any:
    return next(box for box in [*page.selectbox, *page.multiselect] if box.label == label)


def test_another_reference_is_another_comparison(open_page: Open, store: Path) -> None:
    page = open_page(store, "compare", run="mi-synthetic-first")
    assert "from csp_lda" in page.header[0].value
    _box(page, "Compare with").select("ts_lr").run()
    assert not page.exception
    assert "from ts_lr" in page.header[0].value
    board = page.dataframe[0].value.set_index("decoder")
    assert board["gain"].isna().tolist() == [False, True, False]


def test_runs_can_be_put_side_by_side(open_page: Open, store: Path) -> None:
    page = open_page(store, "compare", run="mi-synthetic-first")
    _box(page, "Beside it").select("mi-synthetic-second").run()
    assert not page.exception
    assert len(page.dataframe[0].value) == 5


def test_the_run_of_the_address_is_kept_from_page_to_page(open_page: Open, store: Path) -> None:
    page = open_page(store, "compare", run="mi-synthetic-first")
    page.switch_page("app_pages/subjects.py").run()
    assert _box(page, "Run").value == "mi-synthetic-first"
    _box(page, "Run").select("mi-synthetic-second").run()
    page.switch_page("app_pages/decisions.py").run()
    assert _box(page, "Run").value == "mi-synthetic-second"
    assert page.query_params["run"] == "mi-synthetic-second"


@pytest.mark.parametrize("name", ["../../etc", "/etc", "no-such-run", ""])
def test_an_address_that_names_no_run_of_the_folder_shows_the_newest(
    open_page: Open, store: Path, name: str
) -> None:
    page = open_page(store, "provenance", run=name)
    assert not page.exception
    assert _box(page, "Run").value in {"mi-synthetic-first", "mi-synthetic-second"}


def test_people_and_their_sessions_are_shown(open_page: Open, store: Path) -> None:
    page = open_page(store, "subjects", run="mi-synthetic-first")
    assert not page.exception
    assert list(page.dataframe[0].value["Person"]) == ["1", "2", "3", "4"]
    assert any("every session" in text.value for text in page.markdown)
    _box(page, "Decoders").set_value([]).run()
    assert page.info[0].value == "Choose a decoder."


def test_wrong_decisions_are_found(open_page: Open, store: Path) -> None:
    page = open_page(store, "decisions", run="mi-synthetic-first")
    assert not page.exception
    assert not page.dataframe[0].value["right"].any()
    page.toggle[0].set_value(False).run()
    assert page.dataframe[0].value["right"].any()
    _box(page, "Person").select("2").run()
    assert set(page.dataframe[0].value["subject"]) == {"2"}
    _box(page, "Was").select("left_hand").run()
    assert set(page.dataframe[0].value["y_true"]) == {"left_hand"}


def test_the_curves_of_nets_and_the_scores_by_size_are_drawn(open_page: Open, store: Path) -> None:
    page = open_page(store, "learning", run="mi-synthetic-first")
    assert not page.exception
    assert "12 epochs" in page.header[0].value
    said = " ".join(text.value for text in page.markdown)
    assert "Loss over epochs" in said
    assert "how much was learned from" in said


def test_the_command_that_repeats_a_run_is_shown(open_page: Open, store: Path) -> None:
    page = open_page(store, "provenance", run="mi-synthetic-first")
    assert page.code[0].value == (
        f"neurodecode fit --paradigm mi -c {store}/mi-synthetic-first/config.toml --runs {store}"
    )
    assert page.dataframe[-1].value["finished"].all()
