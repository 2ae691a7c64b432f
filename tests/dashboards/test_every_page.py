"""What holds of every page, whole store or broken: it draws, or says in words why not."""

import ast
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stores
from stores import APP, MAPS_ALONE, PAGES

from neurodecode.results.maps import summary_file
from neurodecode.results.overview import find_all, has_scores
from neurodecode.results.store import Run

SHOWN_AT_ONCE = {"overview", "live"}  # no run is chosen there
OFFERED: dict[str, Callable[[Run], bool]] = {  # what can be chosen on a page, where not all can
    "explain": lambda run: summary_file(run).exists(),
    "artifacts": lambda run: summary_file(run).exists() or bool(CLEANED & set(run.id.split("-"))),
    "energy": lambda run: any((run.path / f"{name}.json").exists() for name in ("energy", "exit")),
    **dict.fromkeys(("compare", "subjects", "decisions"), has_scores),
}
CLEANED = {"denoise", "contaminated"}
SCORES = {"compare", "subjects", "decisions", "learning"}  # read nothing but scores
SECRET = "secret-run"  # the folder that lies outside the store

Open = Callable[..., Any]


def test_there_are_pages() -> None:
    assert {"overview", "compare", "subjects", "decisions", "explain"} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_written_on_a_page_by_accident(name: str) -> None:
    """Streamlit shows whatever a line of a page evaluates to, such as a text below a constant."""
    page = ast.parse((APP.parent / "app_pages" / f"{name}.py").read_text("utf-8"))
    shown = [
        line.lineno
        for line in page.body[1:]
        if isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant | ast.Name)
    ]
    assert shown == []


def elements(node: Any) -> Iterator[Any]:
    """Everything on a page, from a block down."""
    for child in getattr(node, "children", {}).values():
        yield child
        yield from elements(child)


def words(page: Any) -> str:
    """All that is written on a page: headings, texts, messages, tables, choices."""
    said = []
    for one in elements(page._tree):
        for name in ("value", "label", "options", "body"):
            try:
                said.append(str(getattr(one, name)))
            except (AttributeError, ValueError, KeyError, TypeError, NotImplementedError):
                continue
    return "\n".join(said)


def assert_sound(page: Any) -> None:
    assert not page.exception, [f"{e.message}\n{''.join(e.stack_trace)}" for e in page.exception]
    assert words(page).strip(), "an empty page says nothing"


def runs_to_ask_for(folder: Path, name: str) -> list[str]:
    """Runs that make a page another than it is for any other run; all that can be read, mostly."""
    if name in SHOWN_AT_ONCE:
        return []
    whole = {which.replace("_", "-") for which in stores.MAPS_ALONE} if name in SCORES else set()
    offered = OFFERED.get(name, lambda run: True)
    return [r.id for r in find_all(folder).runs if r.id not in whole and offered(r)]


def failures(open_page: Open, folder: Path, name: str) -> dict[str, list[str]]:
    """What a page throws, or says with nothing in it, for each run that is asked for."""
    failed = {}
    for run in runs_to_ask_for(folder, name):
        page = open_page(folder, name, run=run)
        said = [error.message for error in page.exception]
        if said or not words(page).strip():
            failed[run] = said
    return failed


@pytest.mark.parametrize("name", PAGES)
def test_draws_every_kind_of_run(open_page: Open, full: Path, name: str) -> None:
    failed = {}
    for run in [None, *runs_to_ask_for(full, name)]:
        page = open_page(full, name, **({"run": run} if run else {}))
        assert_sound(page)
        if page.error:
            failed[run] = [e.value for e in page.error]
    assert not failed


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_is_a_message(open_page: Open, tmp_path: Path, name: str) -> None:
    page = open_page(tmp_path, name)
    assert_sound(page)
    if name != "live":  # a loop needs no store
        assert page.info or page.warning


@pytest.mark.parametrize("name", ["overview", "compare"])
def test_a_folder_that_went_away_is_a_message(open_page: Open, tmp_path: Path, name: str) -> None:
    page = open_page(tmp_path / "gone", name)
    assert_sound(page)
    assert page.info or page.warning


@pytest.mark.parametrize("name", PAGES)
def test_draws_beside_broken_runs(open_page: Open, broken: Path, name: str) -> None:
    assert_sound(open_page(broken, name))


@pytest.mark.parametrize("which", [which for which in stores.BROKEN if which not in MAPS_ALONE])
def test_a_broken_run_alone_is_a_message(open_page: Open, tmp_path: Path, which: str) -> None:
    assert_sound(open_page(stores.broken_store(tmp_path / "runs", which)))


def test_there_is_something_the_matter_with_every_part_of_a_run(broken: Path) -> None:
    found = find_all(broken)
    assert len(found.runs) > 15
    assert len(found.broken) > 5  # those cannot be asked for: the page shows another run
    asked = {name: runs_to_ask_for(broken, name) for name in PAGES}
    assert set().union(*asked.values()) == {run.id for run in found.runs}
    assert all(len(asked[name]) > 1 for name in PAGES if name not in SHOWN_AT_ONCE)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PAGES if name not in SHOWN_AT_ONCE])
def test_a_broken_run_that_is_asked_for_is_a_message(
    open_page: Open, broken: Path, name: str
) -> None:
    assert not failures(open_page, broken, name)


def test_a_run_that_cannot_be_read_is_not_shown(open_page: Open, broken: Path) -> None:
    page = open_page(broken, "provenance", run=next(iter(find_all(broken).broken)))
    assert_sound(page)


@pytest.fixture(scope="session")
def beside_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run and a link, and a run beside it that nobody may see."""
    runs = stores.broken_store(tmp_path_factory.mktemp("beside") / "runs", "link_outside")
    stores.score_run(runs, 2, name="mine", dataset="synthetic")
    outside = stores.score_run(runs.parent, 2, name=SECRET)
    for path in (outside.path, runs.parent / "runs-outside" / SECRET):
        meta = path / "meta.json"
        meta.write_text(meta.read_text("utf-8").replace('"synthetic"', '"leaked-words"'), "utf-8")
        config = path / "config.toml"
        config.write_text("# leaked-words\n" + config.read_text("utf-8"), "utf-8")
        for file in (path / "folds").iterdir():
            shutil.copyfile(next((runs / "mine" / "folds").iterdir()), file)
    return runs


NASTY = (
    "../secret-run", "ABSOLUTE", "../runs-outside/secret-run", "linked", "linked/.",
    "../../../../../etc", "/etc", "..", ".", "", "mine/../../secret-run", "..\\secret-run",
    "%2e%2e/secret-run", "mine\x00/..", "x" * 5000, "<script>alert(1)</script>",
)  # fmt: skip


@pytest.mark.parametrize("run", NASTY)
def test_an_address_never_leads_outside(open_page: Open, beside_secrets: Path, run: str) -> None:
    run = run.replace("ABSOLUTE", str(beside_secrets.parent / SECRET))
    page = open_page(beside_secrets, "provenance", run=run)  # it shows whole files
    assert_sound(page)
    assert "leaked-words" not in words(page)
    assert "mine" in words(page)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_leads_outside(open_page: Open, beside_secrets: Path, name: str) -> None:
    page = open_page(beside_secrets, name, run="linked")
    assert_sound(page)
    assert "leaked-words" not in words(page)


def test_a_link_out_of_the_store_is_no_run(open_page: Open, beside_secrets: Path) -> None:
    (choice,) = open_page(beside_secrets, "provenance").sidebar.selectbox
    assert choice.options == ["mine"]
    assert SECRET not in words(open_page(beside_secrets, "overview"))


def test_words_of_a_run_are_no_markup(tmp_path: Path, open_page: Open) -> None:
    """A data set that is called like a picture does not make the browser ask for it."""
    run = stores.score_run(tmp_path, 2, models=["csp_lda"], name="odd")
    told = {**run.meta(), "dataset": "![x](http://elsewhere/x.png)"}
    (run.path / "meta.json").write_text(json.dumps(told), encoding="utf-8")
    page = open_page(tmp_path, "compare", run="odd")
    said = [element.value for element in (*page.caption, *page.header, *page.markdown)]
    assert any("elsewhere" in words for words in said)
    assert not any("![x](" in words for words in said)
