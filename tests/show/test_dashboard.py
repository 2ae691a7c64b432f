"""The command that serves the pages: a port, a folder, and an end."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.show import dashboard


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"There is no folder .*missing.*--demo"):
        dashboard.has_runs(tmp_path / "missing")
    assert not dashboard.has_runs(tmp_path)


def test_a_broken_run_is_something_to_show(tmp_path: Path) -> None:
    (tmp_path / "half").mkdir()
    assert dashboard.has_runs(tmp_path)


def test_without_a_folder_of_its_own_the_usual_one_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not dashboard.has_runs(Path("runs"))


def test_a_port_that_is_taken_is_refused_or_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"Port {port} is in use"):
            dashboard.serve_dashboard(Path("runs"), port=port)
        monkeypatch.setattr(dashboard, "PORT", port)
        assert dashboard._free_port(None) > port
        assert f"Port {port} is in use" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_this_machine_only_and_ends_when_told(
    tmp_path: Path, how: signal.Signals
) -> None:
    (tmp_path / "half").mkdir()
    code = "import sys; from neurodecode.cli import main; sys.argv[0] = 'neurodecode'; main()"
    call = [sys.executable, "-c", code, "dashboard", str(tmp_path)]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout is not None
        line = served.stdout.readline()
        port = int(line.partition("localhost:")[2].split()[0])
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=10) as page:
            assert page.read() == b"ok"
        assert _listens_on(port) <= {"0100007F", "00000000000000000000000001000000"}
        served.send_signal(how)
        _, said = served.communicate(timeout=20)
    assert served.returncode == 0
    assert "Traceback" not in said
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0  # nobody is left behind


def _listens_on(port: int) -> set[str]:
    """Addresses (hexadecimal, as Linux keeps them) on which somebody listens to a port."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if os.path.exists(table):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                address, _, number = local.partition(":")
                if state == "0A" and int(number, 16) == port:
                    found.add(address)
    return found
