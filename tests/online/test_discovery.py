"""The self-test of LSL: what it finds, and what it says where something is wrong."""

import json
from pathlib import Path

import pytest

from neurodecode.online import discovery
from neurodecode.online.discovery import Discovery, try_discovery
from neurodecode.show import doctor


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_three_streams_of_three_processes_are_found() -> None:
    found = try_discovery()
    assert found.problem == ""
    assert (found.n_found, found.n_streams) == (3, 3)
    assert found.seconds < 3.0
    assert abs(found.offset) < 0.01
    assert 0 < found.latency <= found.latency_p99 < 1.0


@pytest.mark.timeout(90)
def test_a_missing_liblsl_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pylsl.py").write_text("raise RuntimeError('LSL binary library file not found')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = try_discovery()
    assert found.library == ""
    assert found.problem.startswith("LSL cannot be used: pylsl finds no liblsl (LSL binary")
    assert "pip install pylsl" in found.problem
    assert "\n" not in found.problem


@pytest.mark.timeout(90)
def test_a_process_that_crashes_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pylsl.py").write_text("import os\nos.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert "a process that uses liblsl ended or hangs" in try_discovery().problem


def test_finding_only_some_is_a_problem() -> None:
    """Which is what happens where a question goes to one of several programs."""
    found = discovery._judge(Discovery(library="1.18", n_found=1, seconds=5.0))
    assert "LSL finds 1 of 3 streams" in found.problem
    assert discovery._judge(Discovery(library="1.18", n_found=3)).problem == ""


@pytest.mark.filterwarnings("ignore")  # braindecode, imported here, uses what pandas deprecates
@pytest.mark.parametrize(
    ("found", "status", "words"),
    [
        (
            Discovery(library="1.18", n_found=3, seconds=0.0012, offset=-2e-5, latency=4e-4,
                      latency_p99=9e-4),
            0,
            {"liblsl": "1.18", "found": "3 of 3 in 1.2 ms", "clock offset": "-20 us",
             "latency": "0.40 ms (median), 0.90 ms (99 %)"},
        ),
        (Discovery(problem="No liblsl."), 2, {"liblsl": "does not work"}),
    ],
)  # fmt: skip
def test_doctor_tells_what_was_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: Discovery,
    status: int,
    words: dict[str, str],
) -> None:
    monkeypatch.setattr(doctor, "try_discovery", lambda *, network: found)
    assert doctor.show_doctor(tmp_path, as_json=True) == status
    said = json.loads(capsys.readouterr().out)
    assert said["lsl"] == words
    assert said["problems"] == ([found.problem] if found.problem else [])
