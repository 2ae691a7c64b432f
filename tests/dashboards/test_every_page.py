"""What holds of every page, whole store or broken: it draws, or says in words why not."""

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stores
from conftest import APP

from neurodecode.results.overview import find_all

PAGES = sorted(path.stem for path in (APP.parent / "app_pages").glob("*.py"))
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


@pytest.mark.parametrize("name", PAGES)
def test_draws_a_whole_store(open_page: Open, full: Path, name: str) -> None:
    page = open_page(full, name)
    assert_sound(page)
    assert not page.error, [e.value for e in page.error]


@pytest.mark.parametrize("name", PAGES)
def test_draws_every_kind_of_run(open_page: Open, full: Path, name: str) -> None:
    failed = {}
    for run in sorted(path.name for path in full.iterdir()):
        page = open_page(full, name, run=run)
        said = [e.message for e in page.exception] + [e.value for e in page.error]
        if said:
            failed[run] = said
    assert not failed


@pytest.mark.parametrize("name", PAGES)
def test_an_empty_store_is_a_message(open_page: Open, tmp_path: Path, name: str) -> None:
    page = open_page(tmp_path, name)
    assert_sound(page)
    if name != "live":  # a loop needs no store
        assert page.info or page.warning


@pytest.mark.parametrize("name", PAGES)
def test_a_folder_that_went_away_is_a_message(open_page: Open, tmp_path: Path, name: str) -> None:
    assert_sound(open_page(tmp_path / "gone", name))


@pytest.mark.parametrize("name", PAGES)
def test_draws_beside_broken_runs(open_page: Open, broken: Path, name: str) -> None:
    assert_sound(open_page(broken, name))


@pytest.mark.parametrize("which", stores.BROKEN)
def test_a_broken_run_alone_is_a_message(open_page: Open, tmp_path: Path, which: str) -> None:
    assert_sound(open_page(stores.broken_store(tmp_path / "runs", which)))


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_a_broken_run_that_is_asked_for_is_a_message(
    open_page: Open, broken: Path, name: str
) -> None:
    found, failed = find_all(broken), {}
    assert len(found.runs) > 15
    assert len(found.broken) > 5  # those cannot be asked for: the page shows another run
    for run in [*(run.id for run in found.runs), next(iter(found.broken))]:
        page = open_page(broken, name, run=run)
        if page.exception:
            failed[run] = [error.message for error in page.exception]
    assert not failed


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
    "../secret-run", "../runs-outside/secret-run", "linked", "linked/.", "../../../../../etc",
    "/etc", "..", ".", "", "mine/../../secret-run", "..\\secret-run", "%2e%2e/secret-run",
    "mine\x00/..", "x" * 5000, "<script>alert(1)</script>",
)  # fmt: skip


@pytest.mark.parametrize("run", NASTY)
def test_an_address_never_leads_outside(open_page: Open, beside_secrets: Path, run: str) -> None:
    page = open_page(beside_secrets, "provenance", run=run)  # it shows whole files
    assert_sound(page)
    assert "leaked-words" not in words(page)
    assert "mine" in words(page)


@pytest.mark.parametrize("name", PAGES)
def test_no_page_leads_outside(open_page: Open, beside_secrets: Path, name: str) -> None:
    for run in ("linked", str(beside_secrets.parent / SECRET)):
        page = open_page(beside_secrets, name, run=run)
        assert_sound(page)
        assert "leaked-words" not in words(page)


def test_a_link_out_of_the_store_is_no_run(open_page: Open, beside_secrets: Path) -> None:
    (choice,) = open_page(beside_secrets, "provenance").sidebar.selectbox
    assert choice.options == ["mine"]
    assert SECRET not in words(open_page(beside_secrets, "overview"))
