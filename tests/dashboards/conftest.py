"""Stores to look at, and the dashboard without a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stores

Open = Callable[..., Any]


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of every kind; nobody writes to it."""
    return stores.full_store(tmp_path_factory.mktemp("full") / "runs")


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which something is the matter with every run."""
    return stores.broken_store(tmp_path_factory.mktemp("broken") / "runs")


@pytest.fixture(scope="session")
def explained_run(full: Path) -> str:
    """Name of the run of `full` that has maps, energy and early exits."""
    return next(full.glob("*/explain")).parent.name


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Open:
    """``open_page(runs, "compare", run="...")``: the page as it has drawn itself, an AppTest.

    Keywords are those of the address. ``page.exception`` is empty where all went well. What the
    pages keep of a store is kept between tests too: a store of a test has a path of its own.
    """
    from streamlit.testing.v1 import AppTest

    def opened(runs: Path, page: str = "overview", **query: str) -> AppTest:
        monkeypatch.setenv("NEURODECODE_RUNS", str(runs))
        app = AppTest.from_file(str(stores.APP), default_timeout=30)
        for name, value in query.items():
            app.query_params[name] = value
        if page != "overview":
            app.switch_page(f"app_pages/{page}.py")
        return app.run()

    return opened
