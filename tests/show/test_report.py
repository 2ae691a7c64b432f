import base64
import csv
import io
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards import stores
from neurodecode.cli import app
from neurodecode.core.errors import ConfigError, NeurodecodeError, StoreError
from neurodecode.results.store import Run
from neurodecode.show.report import write_report

MODELS = ("csp_lda", "spiking_dbconformer")
FETCHED = {"src", "href", "xlink:href", "data", "srcset", "poster", "action"}
chromium = shutil.which("chromium") or shutil.which("chromium-browser")


class Read(HTMLParser):
    """What a page is made of: its tags, and the text of its styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.styles = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "style":
            self.styles += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("report")
    run = stores.score_run(folder, 3, models=MODELS, aligns=("none",))
    return stores.with_exits(stores.with_energy(stores.explained(run)))


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    """Its report, which nobody changes."""
    out = run.path.parent / "whole.html"
    write_report(run, out)
    return out


@pytest.fixture(scope="module")
def html(page: Path) -> str:
    return page.read_text("utf-8")


def test_a_page_asks_nobody_for_anything(html: str) -> None:
    page, links = Read(html), []
    for tag, attributes in page.tags:
        for name in FETCHED & set(attributes):
            value = attributes[name].strip()
            if tag == "a" and not attributes.get("download"):  # followed when it is clicked
                continue
            if value and not value.startswith(("data:", "#")):
                links.append((tag, name, value[:80]))
    assert links == []
    outside = [u for u in re.findall(r"url\(\s*[\"']?([^)\"']{0,40})", page.styles)]
    assert len(outside) > 3
    assert [url for url in outside if not url.startswith(("data:", "#"))] == []
    assert "@import" not in page.styles


@pytest.mark.slow
@pytest.mark.skipif(chromium is None, reason="there is no chromium to drive")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_browser_opens_it_without_a_request(page: Path, theme: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(color_scheme=theme, viewport={"width": 1280, "height": 800})
        asked: list[str] = []
        complaints: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda said: complaints.append(said.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(page.as_uri())
        tab.wait_for_load_state("load")
        assert [url for url in asked if not url.startswith("data:")] == [page.as_uri()]
        assert complaints == []
        drawings = tab.locator(".nd figure > svg")
        assert drawings.count() > 15
        assert drawings.first.is_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 1280
        ink, paper = (
            tab.evaluate(f"getComputedStyle(document.body).{name}")
            for name in ("color", "backgroundColor")
        )
        browser.close()
    light = {name: sum(map(int, re.findall(r"\d+", name)[:3])) for name in (ink, paper)}
    assert (light[ink] > light[paper]) == (theme == "dark")


def test_every_section_stands_in_it(html: str) -> None:
    for name in ("Summary", "People", "Comparison", "Decisions", "Learning", "What decoders read",
                 "Artifacts", "Energy", "Provenance"):  # fmt: skip
        assert f">{name}</a>" in html
    assert "SIMULATED" in html
    assert "Not here" not in html


def test_a_map_that_fails_says_so_and_a_map_that_holds_does_not(html: str) -> None:
    fails = re.search(r'<div class="wide said fails"><h4>(.*?)</h4>(.*?)</div>', html)
    assert fails
    assert fails[1] == "Channel attention"
    assert "similarity 0.93" in fails[2]
    holds = re.findall(r'<div class="wide said holds"><h4>(.*?)</h4>(.*?)</div>', html)
    assert "Integrated gradients" in [name for name, _ in holds]
    assert all("fail" not in words for _, words in holds)


def test_every_figure_brings_its_numbers(html: str, run: Run) -> None:
    links = re.findall(r'download="([^"]+)\.csv" href="data:text/csv;base64,([^"]+)"', html)
    assert len(links) == len(re.findall("<figure ", html)) > 15
    tables = {}
    for name, data in links:
        lines = list(csv.DictReader(io.StringIO(base64.b64decode(data).decode())))
        assert lines, name
        tables[name] = lines
    scored = {line["pipeline"]: float(line["score"]) for line in tables["scores_balanced_accuracy"]}
    for model in MODELS:
        own = [row.score for row in run.rows() if row.model == model]
        assert scored[model] == pytest.approx(sum(own) / len(own))


def test_parts_of_drawings_are_called_by_names_of_their_own(html: str) -> None:
    named = re.findall(r'\bid="(drawing\d+-[^"]+)"', html)
    assert len(named) == len(set(named)) > 20
    for drawing in re.findall(r"<figure .*?</figure>", html, flags=re.DOTALL):
        meant = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', drawing))
        assert meant <= set(re.findall(r'\bid="([^"]+)"', drawing))


def test_drawings_take_the_ink_of_the_page(html: str) -> None:
    drawings = "".join(re.findall(r"<figure .*?</figure>", html, flags=re.DOTALL))
    assert "currentColor" in drawings
    assert "#e6e8ea" not in drawings


def test_a_run_without_maps_says_how_to_make_them(tmp_path: Path) -> None:
    run = stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",))
    write_report(run, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert f'<pre class="wide">neurodecode explain {run.id}</pre>' in html
    assert f"Give `neurodecode energy {run.id}`" in html
    assert "There is only one decoder" in html


def test_names_are_never_taken_for_html(tmp_path: Path) -> None:
    classes = ("<script>evil()</script>", "&amp;\"'<img src=x onerror=evil()>")
    run = stores.score_run(
        tmp_path, 2, models=MODELS, aligns=("none",), classes=classes, name="<script>evil()",
        contaminated="<script>evil()</script>", config="a = '<script>evil()'",
    )  # fmt: skip
    stores.explained(run)
    write_report(run, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text("utf-8")
    assert not [tag for tag, attributes in Read(html).tags if "onerror" in attributes]
    assert "<script>evil" not in html
    assert "&lt;script&gt;evil()" in html


@pytest.mark.parametrize(
    "which",
    [
        "half_maps", "garbage_summary", "unplaced", "garbage_energy", "no_config", "one_fold",
        "unknown_metric", "nan_scores", "some_nan_scores", "four_classes", "half_written",
        "empty_meta",
    ],
)  # fmt: skip
def test_what_is_the_matter_with_a_run_is_a_line(tmp_path: Path, which: str) -> None:
    stores.broken_store(tmp_path / "runs", which)
    (folder,) = (tmp_path / "runs").iterdir()
    out, said = tmp_path / "report.html", ""
    try:
        write_report(Run(folder), out)
    except NeurodecodeError as error:
        said = str(error)
    assert out.exists() == (not said)
    assert "\n" not in said


Refused = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (stores.denoise_run, ConfigError, "holds no scores of decoders"),
        (stores.pretrain_run, ConfigError, "holds no scores of decoders"),
        (lambda folder: stores.score_run(folder, 2, finished=0), StoreError, "No fold of"),
    ],
)
def test_a_run_that_has_no_scores_is_told_so(
    tmp_path: Path, make: Refused, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        write_report(make(tmp_path), tmp_path / "report.html")
    assert not list(tmp_path.glob("*.html"))


def test_a_played_stream_has_a_report(tmp_path: Path) -> None:
    run = stores.pseudo_online_run(tmp_path, 2)
    write_report(run, tmp_path / "report.html")
    assert "pseudo-online" in (tmp_path / "report.html").read_text("utf-8")


def test_the_command_writes_one_page_and_says_where(tmp_path: Path) -> None:
    run = stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",))
    out = tmp_path / "report.html"
    call = ["report", run.id, str(out), "--runs", str(tmp_path)]
    out.write_text("old")
    answer = CliRunner().invoke(app, [*call, "--overwrite"])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout == f"Report: {out}\n"
    assert out.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]

    out.write_text("mine")
    with pytest.raises(ConfigError, match="exists.*--overwrite"):
        CliRunner().invoke(app, call, catch_exceptions=False)
    assert out.read_text() == "mine"


@pytest.mark.parametrize("name", ["report.pdf", "report", "report.h5"])
def test_a_page_is_called_a_page(tmp_path: Path, name: str) -> None:
    run = stores.score_run(tmp_path, 2, models=("csp_lda",), aligns=("none",))
    with pytest.raises(ConfigError, match=r"ending in \.html"):
        write_report(run, tmp_path / name)
