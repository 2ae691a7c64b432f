"""Serves the pages of a folder of runs on this machine, until it is stopped."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.core.places import shared_folder
from neurodecode.results.overview import find_all
from neurodecode.show.figures.figure import INK, PALETTE, PAPER

HOST = "localhost"
PORT = 8501
N_PORTS = 50  # that are tried one after the other where none was asked for
SLOW = 60.0  # s until a server that does not answer is given up

SETTINGS = {
    "server.address": HOST,
    "server.headless": "true",  # no browser, no question for an e-mail address
    "server.fileWatcherType": "none",
    "runner.magicEnabled": "false",  # a line of a page that is only a value is not drawn
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": HOST,
    "client.toolbarMode": "minimal",
    "logger.level": "error",
    "theme.light.primaryColor": PALETTE[0],
    "theme.light.backgroundColor": PAPER[False],
    "theme.light.secondaryBackgroundColor": "#f3f5f7",
    "theme.light.textColor": INK[False],
    "theme.dark.primaryColor": "#2b7fbf",  # white words on it can still be read
    "theme.dark.backgroundColor": PAPER[True],
    "theme.dark.secondaryBackgroundColor": "#1f2328",
    "theme.dark.textColor": INK[True],
}
"""Options of Streamlit; those of the command line stand above a user's own config.toml."""


def serve_dashboard(runs: Path, *, port: int | None = None, demonstration: bool = False) -> None:
    """Serve the pages until Ctrl+C; the address is a line on stdout.

    Parameters
    ----------
    runs
        Folder of runs. Nothing outside it is shown.
    port
        To listen on; by default the first free one from 8501 on.
    demonstration
        Say on every page that the runs are a demonstration.

    Raises
    ------
    ConfigError
        If the port is taken, or Streamlit is not installed.
    StoreError
        If the server ends by itself.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise ConfigError("The dashboard needs Streamlit. Install it: pip install streamlit.")
    chosen = _free_port(port)
    environment = {**os.environ, "NEURODECODE_RUNS": str(runs.resolve())}
    environment["NEURODECODE_DEMONSTRATION"] = "1" if demonstration else ""
    options = [f"--{name}={value}" for name, value in {**SETTINGS, "server.port": chosen}.items()]
    app = shared_folder("dashboards") / "app.py"
    # -P: a file of the user's own in this folder, called as a library is, is not run instead of it.
    call = [sys.executable, "-P", "-m", "streamlit", "run", str(app), *options]
    # In a session of its own, so that Ctrl+C reaches this process alone, which then ends both.
    with (
        _stopped_by_signals(),
        subprocess.Popen(
            call, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        ) as server,
    ):
        try:
            _wait_until_up(server, chosen)
            sys.stdout.write(f"Dashboard of {runs}: http://{HOST}:{chosen} (Ctrl+C ends it)\n")
            sys.stdout.flush()
            server.wait()
        except KeyboardInterrupt:
            return
        finally:
            _end(server)
    raise StoreError(f"The dashboard's server ended by itself (status {server.returncode}).")


def has_runs(runs: Path) -> bool:
    """Whether there is something to show in a folder, broken runs included.

    Raises
    ------
    StoreError
        If there is no such folder, and it is not the usual one, which may be missing.
    """
    if not runs.is_dir():
        if runs == Path("runs"):
            return False
        raise StoreError(
            f"There is no folder {runs}. Name a folder of runs, or give `neurodecode dashboard "
            f"--demo` to see a demonstration."
        )
    found = find_all(runs)
    return bool(found.runs or found.broken)


def _free_port(port: int | None) -> int:
    if port is not None:
        if not _is_free(port):
            raise ConfigError(f"Port {port} is in use. Choose another with --port.")
        return port
    for number in range(PORT, PORT + N_PORTS):
        if _is_free(number):
            if number != PORT:
                sys.stderr.write(f"Port {PORT} is in use; taking {number}.\n")
            return number
    raise ConfigError(
        f"Ports {PORT} to {PORT + N_PORTS - 1} are all in use. Choose another with --port."
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _wait_until_up(server: "subprocess.Popen[Any]", port: int) -> None:
    deadline = time.monotonic() + SLOW
    # A proxy of the environment must not be asked for this machine's own pages.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while server.poll() is None:
        try:
            with opener.open(f"http://{HOST}:{port}/_stcore/health", timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise StoreError(f"The dashboard's server is silent after {SLOW:g} s.") from None
            time.sleep(0.05)


def _end(server: "subprocess.Popen[Any]") -> None:
    if server.poll() is not None:
        return
    server.terminate()
    try:
        server.wait(timeout=5)
    except subprocess.TimeoutExpired:
        server.kill()


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Whatever asks this process to end does so as Ctrl+C would, so that the server ends too."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    names = [signal.SIGTERM, signal.SIGINT]
    before = {name: signal.signal(name, stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
