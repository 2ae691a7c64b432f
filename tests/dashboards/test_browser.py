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
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pandas as pd
import pytest
from stores import PAGES

SETTLED = """() => {
    const app = document.querySelector('[data-testid="stApp"]');
    const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')];
    return app?.dataset.testScriptState === "notRunning"
        && !document.querySelector('[data-testid="stSkeleton"], [data-stale="true"]')
        && charts.every(chart => chart.querySelector("svg, canvas"))
        && [...document.images].every(image => image.complete);
}"""
DRAWN = (
    '[data-testid="stMain"] :is([data-testid="stVegaLiteChart"] :is(svg, canvas), '
    '[data-testid="stImage"] img, [data-testid="stImage"] svg, [data-testid="stDataFrame"] canvas)'
)
ERRORS = '[data-testid="stException"], [data-testid="stAlertContentError"]'
# A deep link makes Streamlit's page ask for its server below the page's own address first.
BENIGN = re.compile(r"/\w+/_stcore/(health|host-config)$")
CHOSEN = '[data-testid="stSidebar"] [data-testid="stSelectbox"] input'
OTHER = "mi-synthetic-contaminated"  # than the run that is shown first
QUIET = {"live"}  # has nothing to draw where no loop runs
WIDTH, HEIGHT = 1280, 800

chromium = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium is None, reason="there is no chromium to drive"),
]


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
        try:
            line = server.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, f"the command says no address: {line!r}"
            yield found[0].rstrip("/")
        finally:
            status = end(server)
    assert status == 0, "Ctrl+C is no failure"
    with pytest.raises(OSError, match="refused"):  # nor is what it started left behind
        socket.create_connection(("localhost", urlsplit(found[0]).port), timeout=2).close()


def end(server: "subprocess.Popen[str]") -> int:
    """Ctrl+C; and where that is not heard, an end for the command and for what it started."""
    started = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    server.send_signal(signal.SIGINT)
    try:
        return server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        for pid in map(int, started):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.kill()
        raise


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield own
        finally:
            own.close()


class Watched:
    """A tab, with all that it asked for and complained about."""

    def __init__(self, browser: Any, theme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=theme, accept_downloads=True
        )
        self.tab = self.context.new_page()
        self.main = self.tab.locator('[data-testid="stMain"]')
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
        self.tab.wait_for_function(SETTLED, timeout=30_000)

    def chose(self, run: str) -> None:
        """Wait until that run is the one chosen, and its page is there."""
        chosen = f"(document.querySelector('{CHOSEN}')?.value ?? '')"
        self.tab.wait_for_function(f"() => {chosen}.endsWith({run[-12:]!r})", timeout=15_000)
        self.settle()

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

    def shoot(self, path: Path) -> None:
        """The whole page on one picture, however far it goes on below the window."""
        tall = int(self.main.evaluate("element => element.scrollHeight"))
        if tall > HEIGHT:
            self.tab.set_viewport_size({"width": WIDTH, "height": min(tall, 6000)})
            self.settle()
        self.tab.screenshot(path=path)
        if tall > HEIGHT:
            self.tab.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Watched]:
    with Watched(browser) as watched:
        yield watched


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_loads_draws_and_asks_nobody_else(
    browser: Any, address: str, explained_run: str, shots: Path, theme: str
) -> None:
    with Watched(browser, theme) as watched:
        tab = watched.tab
        for name in PAGES:
            path = "" if name == "overview" else name  # the first page has no address of its own
            watched.open(f"{address}/{path}?run={explained_run}")
            if name not in QUIET:
                tab.wait_for_selector(DRAWN, timeout=15_000)
            assert not tab.locator(ERRORS).count(), (name, tab.locator(ERRORS).all_inner_texts())
            wide = tab.evaluate("document.documentElement.scrollWidth")
            assert wide <= WIDTH, f"{name} is {wide} px wide"
            watched.shoot(shots / f"{name}-{theme}.png")
        watched.assert_sound(address)
        paper = tab.evaluate(
            "getComputedStyle(document.querySelector('[data-testid=\"stApp\"]')).backgroundColor"
        )
    lightness = sum(int(v) for v in re.findall(r"\d+", paper)[:3])
    assert (lightness < 384) == (theme == "dark")


def test_the_run_of_an_address_is_the_run_shown(address: str, tab: Watched) -> None:
    tab.open(f"{address}/compare?run={OTHER}")
    tab.chose(OTHER)
    assert "CONTAMINATED" in tab.main.inner_text().upper()


def test_another_choice_changes_the_page_and_goes_along(address: str, tab: Watched) -> None:
    tab.open(f"{address}/compare")
    page = tab.tab
    assert "CONTAMINATED" not in tab.main.inner_text().upper()
    page.locator(CHOSEN).first.click()
    page.locator('[role="option"]', has_text=OTHER[-12:]).first.click()
    page.wait_for_url(f"**run={OTHER}*")
    tab.main.get_by_text("CONTAMINATED").first.wait_for(timeout=15_000)
    page.locator('[data-testid="stSidebarNav"] a', has_text="Subjects").click()
    page.wait_for_url("**/subjects*")
    tab.chose(OTHER)
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
