"""The dashboard as a person sees it: one server, one headless Chromium, every page of it."""

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from conftest import APP

PAGES = sorted(path.stem for path in (APP.parent / "app_pages").glob("*.py"))
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
DRAWN = (
    '[data-testid="stMain"] :is([data-testid="stVegaLiteChart"] :is(svg, canvas), '
    '[data-testid="stImage"] img, [data-testid="stImage"] svg, [data-testid="stDataFrame"] canvas)'
)
ERRORS = '[data-testid="stException"], [data-testid="stAlertContentError"]'
# A deep link makes Streamlit's page ask for its server below the page's own address first.
BENIGN = re.compile(r"/\w+/_stcore/(health|host-config)$")
CHOSEN = '[data-testid="stSidebar"] [data-testid="stSelectbox"] input'
QUIET = {"live"}  # has nothing to draw where no loop runs
WIDTH, HEIGHT = 1280, 800

chromium = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium is None, reason="there is no chromium to drive"),
]


def chosen_run(page: Any) -> str:
    return str(page.locator(CHOSEN).first.input_value())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go."""
    named = os.environ.get("NEURODECODE_SHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("shots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def address(full: Path) -> Iterator[str]:
    """Of the dashboard, started as a person starts it, on a store of every kind of run."""
    command = "from neurodecode.cli import main; main()"
    call = [sys.executable, "-c", command, "dashboard", str(full), "--port", str(free_port())]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        try:
            found = re.search(r"http://\S+", line)
            assert found, f"the command says no address: {line!r}"
            yield found[0].rstrip("/")
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=20) == 0, "Ctrl+C is no failure"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield own
        own.close()


class Watched:
    """A tab, with all that it asked for and complained about."""

    def __init__(self, browser: Any, theme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme, accept_downloads=True
        )
        self.tab = self.context.new_page()
        self.asked: list[str] = []
        self.missing: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda request: self.asked.append(request.url))
        self.tab.on("websocket", lambda socket: self.asked.append(socket.url))
        self.tab.on("response", self._answered)
        self.tab.on("console", self._said)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.missing.append(response.url)

    def _said(self, message: Any) -> None:
        where = message.location.get("url", "")
        if message.type == "error" and not BENIGN.search(urlsplit(where).path):
            self.complaints.append(f"{message.text} {where}")

    def open(self, url: str) -> None:
        self.tab.goto(url)
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run and what it drew is there."""
        self.tab.wait_for_selector(READY, timeout=30_000)
        self.tab.wait_for_timeout(250)  # a chart is drawn after its element is there
        self.tab.wait_for_selector(READY, timeout=30_000)

    def assert_sound(self, address: str) -> None:
        assert not self.complaints, self.complaints
        strange = [url for url in self.missing if not BENIGN.search(urlsplit(url).path)]
        assert not strange, strange
        host = urlsplit(address).netloc
        others = [
            url
            for url in self.asked
            if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).netloc != host
        ]
        assert not others, f"asked somebody else: {others}"

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Watched]:
    watched = Watched(browser)
    yield watched
    watched.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_loads_draws_and_asks_nobody_else(
    browser: Any, address: str, explained_run: str, shots: Path, theme: str
) -> None:
    watched = Watched(browser, theme)
    for name in PAGES:
        path = "" if name == "overview" else name  # the first page has no address of its own
        watched.open(f"{address}/{path}?run={explained_run}")
        tab = watched.tab
        if name not in QUIET:
            tab.wait_for_selector(DRAWN, timeout=15_000)
        assert not tab.locator(ERRORS).count(), (name, tab.locator(ERRORS).all_inner_texts())
        wide = tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= WIDTH, f"{name} is {wide} px wide"
        tab.screenshot(path=shots / f"{name}-{theme}.png")
        main = tab.locator('[data-testid="stMain"]')
        tall = main.evaluate("element => element.scrollHeight")
        tab.set_viewport_size({"width": WIDTH, "height": min(max(int(tall), HEIGHT), 6000)})
        watched.settle()
        tab.screenshot(path=shots / f"{name}-{theme}-whole.png")
        tab.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    watched.assert_sound(address)
    paper = tab.evaluate(
        "getComputedStyle(document.querySelector('[data-testid=\"stApp\"]')).backgroundColor"
    )
    lightness = sum(int(v) for v in re.findall(r"\d+", paper)[:3])
    assert (lightness < 384) == (theme == "dark")
    watched.close()


def test_the_run_of_an_address_is_the_run_shown(address: str, tab: Watched) -> None:
    tab.open(f"{address}/compare?run=mi-synthetic-contaminated")
    assert chosen_run(tab.tab) == "mi-synthetic-contaminated"
    assert "CONTAMINATED" in tab.tab.locator('[data-testid="stMain"]').inner_text().upper()


def test_another_choice_changes_the_page_and_goes_along(address: str, tab: Watched) -> None:
    tab.open(f"{address}/compare")
    page = tab.tab
    main = page.locator('[data-testid="stMain"]')
    before = main.inner_text()
    page.locator(CHOSEN).first.click()
    page.locator('[role="option"]', has_text="mi-synthetic-contaminated").first.click()
    page.wait_for_url("**run=mi-synthetic-contaminated*")
    tab.settle()
    assert main.inner_text() != before
    page.locator('[data-testid="stSidebarNav"] a', has_text="Subjects").click()
    page.wait_for_url("**/subjects*")
    tab.settle()
    assert chosen_run(page) == "mi-synthetic-contaminated"
    tab.assert_sound(address)


def test_a_figure_downloads_in_each_form(address: str, tab: Watched) -> None:
    tab.open(f"{address}/compare")
    page = tab.tab
    got = {}
    for kind in ("SVG", "PNG", "CSV"):
        button = page.locator('[data-testid="stDownloadButton"] button', has_text=kind).first
        with page.expect_download(timeout=15_000) as download:
            button.click()
        name = download.value.suggested_filename
        assert name.endswith(f".{kind.lower()}")
        got[kind] = Path(download.value.path()).read_bytes()
    assert b"<svg" in got["SVG"][:1000]
    assert b"</svg>" in got["SVG"][-100:]
    assert got["PNG"].startswith(b"\x89PNG")
    assert len(pd.read_csv(io.BytesIO(got["CSV"]))) > 1
    tab.assert_sound(address)


def test_it_listens_on_this_machine_alone(address: str) -> None:
    port = urlsplit(address).port
    assert port is not None
    assert urlsplit(address).hostname in ("localhost", "127.0.0.1")
    with socket.create_connection(("localhost", port), timeout=2):
        pass
    own = _address_outwards()
    if own is None:
        pytest.skip("this machine has no address that others know")
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):
        socket.create_connection((own, port), timeout=2).close()


def _address_outwards() -> str | None:
    """The address by which others reach this machine; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of a network that is for examples only
        except OSError:
            return None
        own = str(probe.getsockname()[0])
    return None if own.startswith("127.") else own
