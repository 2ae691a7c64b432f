"""Seconds until the dashboard's first page is drawn, and until another page is, in Chromium.

python benchmarks/dashboard.py [RUNS]

Without RUNS, on a store of 20 runs of 50 people and 3 decoders each, 3,000 folds, made in a
temporary folder. "Cold" is a server that nobody has asked anything yet; what it took to start is
not in it, and neither is the time that the browser took. A page is drawn when its script has run
and its charts are there.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "dashboards"))

import stores  # noqa: E402  # it lies beside the tests

N_RUNS, N_PEOPLE, MODELS = 20, 50, ("csp_lda", "ts_lr", "dbconformer")
PAGES = ("compare", "subjects", "decisions", "learning", "explain", "artifacts", "energy",
         "provenance", "overview")  # fmt: skip
N_TIMES = 3
READY = '[data-testid="stApp"][data-test-script-state="notRunning"]'
MAIN = '[data-testid="stMain"]'
CHART = f'{MAIN} [data-testid="stVegaLiteChart"]'
EMPTY = f"""() => [...document.querySelectorAll('{CHART}')].every(
    chart => chart.querySelector('svg, canvas'))"""


def make_store(folder: Path) -> None:
    """The runs, with maps and energy in the newest."""
    for i in range(N_RUNS):
        run = stores.score_run(
            folder, N_PEOPLE, models=MODELS, aligns=("euclidean:causal",), n_trials=40,
            name=f"mi-synthetic-cross-subject-{i:08x}",
        )  # fmt: skip
    stores.with_energy(stores.explained(run))


@contextmanager
def served(runs: Path) -> Iterator[str]:
    """The address of a server that has just started."""
    call = ["neurodecode", "dashboard", str(runs), "--port", "8765"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            yield line.split(": ")[1].split()[0]
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=20)


def wait_until_drawn(tab: Any) -> None:
    """Until the script has run, there is a heading, and no chart is empty."""
    tab.wait_for_selector(READY)
    tab.wait_for_selector(f"{MAIN} :is(h1, h2, h3)")
    tab.wait_for_function(EMPTY)
    tab.wait_for_selector(READY)


def first_page(browser: Any, address: str) -> float:
    """Seconds of the first page in a new tab."""
    tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    began = time.perf_counter()
    tab.goto(address)
    wait_until_drawn(tab)
    taken = time.perf_counter() - began
    tab.context.close()
    return taken


def changes(browser: Any, address: str) -> dict[str, list[float]]:
    """Seconds from a click in the sidebar to each page, several times."""
    tab = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    tab.goto(address)
    wait_until_drawn(tab)
    taken: dict[str, list[float]] = {page: [] for page in PAGES}
    for _ in range(N_TIMES):
        for page in PAGES:
            link = tab.locator('[data-testid="stSidebarNav"] a', has_text=page.capitalize())
            head = tab.locator(f"{MAIN} :is(h1, h2, h3)").first.inner_text()
            began = time.perf_counter()
            link.click()
            tab.wait_for_function(
                "([main, head]) => { const h = document.querySelector(main + ' h1,' + main + ' h2,'"
                " + main + ' h3'); return h && h.innerText !== head }",
                arg=[MAIN, head],
            )
            wait_until_drawn(tab)
            taken[page].append(time.perf_counter() - began)
    tab.context.close()
    return taken


def main() -> None:
    """Print the figures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        runs = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(temporary)
        if len(sys.argv) == 1:
            make_store(runs)
        n_folds = len(list(runs.glob("*/folds/*.parquet")))
        print(f"{len(list(runs.glob('*/meta.json')))} runs, {n_folds:,} folds")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for words in ("folds never read before", "folds read before"):
            with served(runs) as address:
                print(f"first page, cold server, {words}: {first_page(browser, address):.2f} s")
                print(f"first page, warm server: {first_page(browser, address):.2f} s")
                for page, seconds in changes(browser, address).items():
                    first, *later = seconds
                    print(f"  to {page:11} {first:.2f} s at first, then {max(later):.2f} s")
        browser.close()


if __name__ == "__main__":
    main()
