"""`neurodecode clean`: a mistake is one line and status 2, and the recording stays as it was."""

import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.recording import brain_channels
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.cli import main
from neurodecode.core.registry import Listing
from neurodecode.experiment.clean import DEFAULT_METHOD

Say = Callable[..., tuple[int, str, str]]


class Half(Stepwise):
    """Takes away a share of everything."""

    def __init__(self, *, share: float = 0.5) -> None:
        self.share = share

    def fit(self, raws: Any) -> "Half":
        self.ch_names_ = tuple(brain_channels(raws[0]))
        self.sfreq_ = float(raws[0].info["sfreq"])
        return self

    def step(self, x: Any, state: Any) -> Any:
        return (1 - self.share) * x, state


def record(path: Path, seconds: float = 6.0, *, gain: float = 1.0, kind: str = "eeg") -> Path:
    """Three channels of noise that drifts."""
    rng = np.random.default_rng(0)
    x = 1e-5 * gain * rng.standard_normal((3, round(128 * seconds))).cumsum(axis=1)
    info = mne.create_info(["C3", "Cz", "C4"], 128.0, kind)
    mne.io.RawArray(x - x.mean(axis=1, keepdims=True), info, verbose="ERROR").save(
        path, verbose="ERROR", overwrite=True
    )
    return path


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Say]:
    """Runs `neurodecode` in a folder that holds ``in.fif``; the recording must not change."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(CLEANERS._listings, "half", Listing("neurodecode.artifacts.stepwise", ""))
    monkeypatch.setitem(CLEANERS._parts, "half", Half)
    record(tmp_path / "in_raw.fif").rename("in.fif")
    sha = hashlib.sha256(Path("in.fif").read_bytes()).digest()
    logger = logging.getLogger("neurodecode")
    level = logger.level

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurodecode", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    yield run
    logger.setLevel(level)
    assert hashlib.sha256(Path("in.fif").read_bytes()).digest() == sha


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("none.fif out.fif", "There is no file none.fif"),
        ("in.fif out.set", "written as .fif, .fif.gz, .edf. Change the end of its name"),
        ("in.fif .edf", "written as .fif, .fif.gz, .edf"),
        ("in.fif", "Missing argument 'OUT'"),
        ("in.fif in.fif --overwrite", "is the recording in.fif itself, which is never changed"),
        ("in.fif ../{here}/in.fif --overwrite", "is the recording in.fif itself"),
        ("in.fif link.fif --overwrite", "OUT link.fif is the recording in.fif itself"),
        ("link.fif in.fif --overwrite", "OUT in.fif is the recording link.fif itself"),
        ("in.fif out.fif --removed in.fif --overwrite", "--removed in.fif is the recording"),
        ("in.fif out.fif --removed out.fif", "--removed and OUT are one file, out.fif"),
        ("in.fif out.fif --removed rest.txt", "rest.txt cannot be written: recordings are"),
        ("in.fif out.fif --fit-on old.fif --removed old.fif --overwrite", "never changed"),
        ("in.fif old.fif", "OUT old.fif exists. Choose another name, or replace it with --over"),
        ("in.fif old.edf", "--report old.html exists"),
        ("in.fif folder.fif --overwrite", "OUT folder.fif is a folder"),
        ("in.fif out.fif --report page.txt", "Let its name end in .html"),
        ("in.fif out.fif --report a.html --no-report", "exclude each other. Give one"),
        ("in.fif none/out.fif", "there is no folder none. Make it first"),
        ("in.fif /proc/out.fif", "/proc takes no file"),
        ("in.fif out.fif --method halv", "No cleaner is called 'halv'. Did you mean 'half'?"),
        ("in.fif out.fif --method half --set shar=1", "option of cleaner half is called 'shar'"),
        ("in.fif out.fif --method half --set share=x", "share = 'x' is not a number. Its default"),
        ("in.fif out.fif --method half --set share", "lacks a value: write --set option=value"),
        ("in.fif out.fif --method half --bad CZ", "called 'CZ'. Did you mean 'Cz'?"),
        ("in.fif out.fif --method half --drop Fz", "No channel of this recording is called 'Fz'"),
        ("in.fif out.fif --method half --drop C3,Cz,C4", "--drop leaves no channel of in.fif"),
        ("in.fif out.fif --method half --drop ,", "--drop ',' names nothing"),
        ("in.fif out.fif --method half --bad C3,Cz,C4", "No good brain channel is among the 3"),
        ("in.fif out.fif --method half --fit-on none.fif", "There is no file none.fif"),
        ("in.fif out.fif --method half --unit kV", "called 'kV'"),
        ("in.fif out.fif --method half --sfreq 100", "was recorded at 128 Hz, not at 100 Hz"),
        ("uv.fif out.fif --method half", "vary by"),
        ("ecg.fif out.fif --method half", "No good brain channel is among the 3 channels"),
        ("flat.fif out.fif --method half", "No channel is left to clean: C3 (flat), Cz (not fin"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    say: Say, tmp_path: Path, command: str, words: str
) -> None:
    Path("link.fif").symlink_to("in.fif")
    Path("old.fif").write_text("old")
    Path("old.html").write_text("old")
    Path("folder.fif").mkdir()
    record(tmp_path / "uv_raw.fif", gain=1e6).rename("uv.fif")
    record(tmp_path / "ecg_raw.fif", kind="ecg").rename("ecg.fif")
    raw = mne.io.read_raw_fif("in.fif", preload=True, verbose="ERROR")
    raw._data[:] = 0.0
    raw._data[1, 7] = np.nan
    raw.save("flat_raw.fif", verbose="ERROR")
    Path("flat_raw.fif").rename("flat.fif")
    before = sorted(os.listdir())
    status, out, err = say("clean", *command.format(here=tmp_path.name).split())
    assert words in err
    assert len(err.splitlines()) == 1
    assert (status, out) == (2, "")
    assert sorted(os.listdir()) == before
    assert Path("old.fif").read_text() == Path("old.html").read_text() == "old"


@pytest.mark.parametrize("method", CLEANERS.names())
def test_a_recording_too_short_is_told(say: Say, tmp_path: Path, method: str) -> None:
    record(tmp_path / "short_raw.fif", seconds=0.2).rename("short.fif")
    status, out, err = say("clean", "short.fif", "out.fif", "--method", method)
    assert "Error: " in err
    assert len(err.splitlines()) == 1
    assert (status, out) == (2, "")
    assert not Path("out.fif").exists()


@pytest.mark.skipif("regression" not in CLEANERS.names(), reason="no regression")
def test_regression_without_an_eog_channel_is_told(say: Say, tmp_path: Path) -> None:
    record(tmp_path / "long_raw.fif", seconds=20.0)
    status, _, err = say("clean", "long_raw.fif", "out.fif", "--method", "regression")
    assert "eog" in err.lower()
    assert (status, len(err.splitlines())) == (2, 1)


def test_outputs_are_refused_before_the_recording_is_read(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurodecode.experiment.clean.read_raw", None)
    Path("out.fif").write_text("old")
    assert say("clean", "in.fif", "out.fif", "--method", "half")[0] == 2


def test_the_summary_says_what_was_done(say: Say) -> None:
    status, out, err = say("clean", "in.fif", "out.fif", "--method", "half", "--bad", "C4")
    assert (status, err) == (0, "")
    lines = {line[:11].strip(): line[11:] for line in out.splitlines()}
    assert lines["read"] == "in.fif: 3 channels, 128 Hz, 6.0 s"
    assert lines["method"].startswith("half; fitted to this recording in ")
    assert "of the variance of 2 channels" in lines["removed"]
    assert lines["by band"].startswith("delta ")
    assert lines["by band"].count(",") == 4
    assert lines["left alone"] == "C4 (marked bad)"
    assert lines["wrote"] == "out.fif, out.html"
    assert Path("out.html").read_text().startswith("<!doctype html>")
    assert "neurodecode clean in.fif out.fif --method half --bad C4" in Path("out.html").read_text()


def test_json_is_one_document(say: Say) -> None:
    words = "clean in.fif out.edf --method half --set share=0.25 --no-report --json --removed r.fif"
    status, out, err = say(*words.split())
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["options"] == {"share": 0.25}
    assert told["files"] == {"out": "out.edf", "removed": "r.fif"}
    assert set(told["removed_share"]) == {"total", "delta", "theta", "alpha", "beta", "gamma"}
    assert set(told["removed_share_per_channel"]) == {"C3", "Cz", "C4"}
    assert told["n_chans"] == told["n_cleaned"] == 3
    assert not Path("out.html").exists()


def test_a_mistake_in_json(say: Say) -> None:
    status, out, err = say("clean", "in.fif", "out.fif", "--method", "halv", "--json")
    assert status == 2
    assert json.loads(out)["error"] == "UnknownName"
    assert len(err.splitlines()) == 1


def test_files_are_replaced_when_asked(say: Say) -> None:
    for words in ([], ["--overwrite"]):
        status, _, _ = say("clean", "in.fif", "out.fif", "--method", "half", *words)
        assert status == 0
    assert sorted(os.listdir()) == ["in.fif", "out.fif", "out.html"]


def test_a_wrong_unit_can_be_put_right(say: Say, tmp_path: Path) -> None:
    record(tmp_path / "uv_raw.fif", gain=1e6)
    assert say("clean", "uv_raw.fif", "a.fif", "--method", "half")[0] == 2
    assert say("clean", "uv_raw.fif", "a.fif", "--method", "half", "--unit", "uV")[0] == 0


def test_stopped_by_the_user(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Half, "step", stop)
    status, out, err = say("clean", "in.fif", "out.fif", "--method", "half")
    assert (status, out) == (130, "")
    assert err.strip() == "Stopped. Nothing was written."
    assert os.listdir() == ["in.fif"]


def test_cleaners_are_listed(say: Say) -> None:
    status, out, _ = say("list", "cleaners")
    assert status == 0
    assert "atat" in out
    assert f"`clean` takes {DEFAULT_METHOD}" in out
    names = {line["name"] for line in json.loads(say("list", "cleaners", "--json")[1])}
    assert DEFAULT_METHOD in names
