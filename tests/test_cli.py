"""A mistake by the user is one line on stderr and exit status 2; what is finished stays."""

import errno
import json
import logging
import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.cli import main
from neurodecode.core import errors
from neurodecode.training.estimator import Decoder

SIMULATED = """
name = "tiny"
description = "Three simulated subjects"
paradigm = "mi"
simulated = true
events = ["left_hand", "right_hand"]
[source]
kind = "synthetic"
[source.arguments]
n_subjects = 3
n_sessions = 1
n_trials = 12
sfreq = 64.0
duration = 2.0
cache = false
ch_names = ["C3", "Cz", "C4"]
"""
FILES = """
name = "files"
description = "Recordings in a folder"
paradigm = "mi"
events = ["rest", "move"]
[source]
kind = "files"
pattern = "s{subject}_raw.fif"
interval = [0.0, 2.0]
"""
PIPELINE = """
models = ["csp_lda"]
[data]
dataset = "tiny.toml"
[preprocess]
band = [8, 30]
[evaluation]
align = ["none"]
"""


@dataclass(frozen=True)
class Said:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line about a mistake; what was being done before may stand above it."""
        *before, last = self.err.splitlines()
        assert all(line.startswith("reading ") for line in before), self.err
        return last

    @property
    def document(self) -> Any:
        """The one JSON document on stdout; NaN is not JSON."""

        def refuse(word: str) -> None:
            raise AssertionError(word)

        return json.loads(self.out, parse_constant=refuse)


Say = Callable[..., Said]


@pytest.fixture
def say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Say]:
    """Runs a command in a folder that holds ``tiny.toml``, ``files.toml`` and ``pipe.toml``."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("tiny", SIMULATED), ("files", FILES), ("pipe", PIPELINE)):
        (tmp_path / f"{name}.toml").write_text(text)
    logger = logging.getLogger("neurodecode")
    level = logger.level

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["neurodecode", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return Said(int(end.value.code or 0), out, err)

    yield run
    logger.setLevel(level)


def record(
    path: Path,
    *,
    sfreq: float = 64.0,
    ch_names: tuple[str, ...] = ("C3", "Cz", "C4"),
    bad: float | None = None,
    classes: tuple[str, ...] = ("rest", "move"),
    late: bool = False,
) -> None:
    """Half a minute of noise with a marker every three seconds; `bad` fills the channel Cz."""
    x = 1e-5 * np.random.default_rng(0).standard_normal((len(ch_names), int(30 * sfreq)))
    if bad is not None:
        x[1] = bad
    raw = mne.io.RawArray(x, mne.create_info(list(ch_names), sfreq, "eeg"), verbose="ERROR")
    onset = [*range(2, 26, 3), *([29.0] if late else [])]
    label = [classes[i % len(classes)] for i in range(len(onset))]
    raw.set_annotations(mne.Annotations(onset, 0.0, label), verbose="ERROR")
    path.parent.mkdir(exist_ok=True)
    raw.save(path, verbose="ERROR")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        # Typer's own
        ("lst", "No such command 'lst'. Did you mean 'list'?"),
        ("fit --dataste x", "No such option: --dataste (Possible options: "),
        ("list xyz", "'xyz' is not one of 'models', 'aligners'"),
        ("fit --set", "Option '--set' requires an argument."),
        ("fit --seeds few", "Invalid value for '--seeds'"),
        ("fit --jobs 0", "'--jobs': Input should be greater than or equal to 1"),
        # names that nothing goes by
        ("fit --model csp_ldaa", "No model is called 'csp_ldaa'. Did you mean 'csp_lda'?"),
        ("fit --model csp_lda:big", "No model is called 'csp_lda:big'. Did you mean 'csp_lda'?"),
        ("fit --model csp_lda,csp_lda", "models names 'csp_lda' twice"),
        ("fit --model=", "--model '' names nothing"),
        ("fit --dataset BNCI2014001", "Did you mean 'BNCI2014_001'?"),
        ("fit --dataset nosuch", "`neurodecode list datasets`) is called 'nosuch'. Nearest of"),
        ("fit --paradigm mii", "No paradigm is called 'mii'. Did you mean 'mi'?"),
        ("fit --paradigm p300 --dataset tiny.toml", "tiny is for --paradigm mi, not p300"),
        ("fit --metric acc", "No metric is called 'acc'. Did you mean 'accuracy'?"),
        ("fit --protocol cross-subjct", "'cross-subjct' is not one of 'within-session'"),
        ("fit --align euclidean", "'euclidean:causal' (windows up to the one decoded) or"),
        ("fit --align euclid:batch", "No aligner is called 'euclid'. Did you mean 'euclidean'?"),
        ("fit --against mdm", "No model of this run is called 'mdm'"),
        ("fit --device tpu", "device='tpu' cannot be used here"),
        # --set
        ("fit --set preprocess.band", "lacks a value: write --set section.option=value"),
        ("fit --set preprocess.band=", "lacks a value: write --set section.option=value"),
        ("fit --set preprocess.band=high", "band = 'high' is not a list of 2 (a number, a num"),
        ("fit --set band=[8,30]", "Write --set preprocess.band=..."),
        ("fit --set prep.band=3", "No section is called 'prep'. Did you mean 'preprocess'?"),
        ("fit --set preprocess.bnd=3", "called 'bnd'. Did you mean 'band'?"),
        ("fit --set models=3", "models = [3] names no decoder"),
        ("fit --set data.dataset=3", "[data] dataset = 3 is not a text"),
        ("fit --set model.csp_lda.n_patterns=x", "'x' is not a whole number. Its default is 8."),
        ("fit --set evaluation.n_folds=1", "n_folds = 1 leaves nothing to train on"),
        # subjects, seeds
        ("fit --subjects 5-3", "--subjects 5-3 runs backwards. Write 3-5."),
        ("fit --subjects 1-999999999999", "asks for more than 10,000 subjects"),
        ("fit --subjects ,", "--subjects ',' names nothing"),
        ("fit --subjects 1,1-2", "data.subjects names '1' twice"),
        ("fit --seeds 0", "evaluation.seeds = 0 is no number of seeds"),
        ("fit -c pipe.toml --subjects 99", "is called '99'. Known: 1, 2, 3."),
        ("fit -c pipe.toml --events left_hand", "takes two classes; data.events = ['left_hand']"),
        ("fit -c pipe.toml --events left_hand,feet", "No event of tiny is called 'feet'"),
        # files and folders
        ("check missing.toml", "There is no pipeline file missing.toml"),
        ("fit --dataset missing.toml", "There is no dataset card missing.toml"),
        ("fit --dataset .", "No dataset"),
        ("fit --dataset ./", "--dataset ./ is a folder"),
        ("fit --dataset files.toml", "say where with --data-dir FOLDER"),
        ("fit --dataset files.toml --data-dir none", "--data-dir none is not a folder"),
        ("fit --dataset files.toml --data-dir .", "No file under . matches 's{subject}_raw.fif'"),
        ("fit --dataset bids:/none", "There is no folder /none"),
        ("fit --dataset bids:.", ". is not a BIDS folder: it has no dataset_description.json"),
        ("fit -c pipe.toml --runs pipe.toml", "Runs cannot be kept in pipe.toml (File exists)"),
        ("results", "There is no run in runs. Make one with `neurodecode fit"),
        ("results --runs pipe.toml", "There is no run in pipe.toml"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(say: Say, command: str, words: str) -> None:
    said = say(*command.split())
    assert words in said.complaint
    assert (said.status, said.out) == (2, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("models = [", "is not a pipeline file: it is not TOML"),
        ("models = 3", "models = [3] names no decoder"),
        ("preprocess = 3", "preprocess = 3 is a value, but preprocess is a section"),
        ("[trian]", "called 'trian'. Did you mean 'train'?"),
        ("[preprocess]\nband = 'wide'", "[preprocess] band = 'wide' is not a list of 2"),
    ],
)
def test_a_wrong_pipeline_file_is_told(say: Say, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    said = say("check", "wrong.toml")
    assert words in said.complaint
    assert said.status == 2


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('name = "tiny"', 'name = "tiny', "is not a dataset card: it is not TOML"),
        ('name = "tiny"', "", "must say name"),
        ('name = "tiny"', "name = 3", "name = 3 is not a text"),
        ("simulated =", "simulate =", "called 'simulate'. Did you mean 'simulated'?"),
        ('paradigm = "mi"', 'paradigm = "xx"', "must say a paradigm of"),
        ("[source]", "[choices]\npreprocess = 3\n[source]", "choices = {'preprocess': 3} is not"),
        ("[source]", "[choices.x]\na = 3\n[source]", "No section of [choices] of the card tiny"),
        ('"synthetic"', '"synth"', "source of kind 'synth'"),
        ('"synthetic"', '"moabb"\nclass = "Zhou2061"', "called 'Zhou2061'. Did you mean 'Zhou201"),
        ("n_trials", "n_trial", "called 'n_trial'. Did you mean 'n_trials'?"),
        ("n_trials = 12", "n_trials = 'x'", "n_trials = 'x' is not a whole number"),
    ],
)
def test_a_wrong_card_is_told(
    say: Say, tmp_path: Path, before: str, after: str, words: str
) -> None:
    assert before in SIMULATED
    (tmp_path / "wrong.toml").write_text(SIMULATED.replace(before, after, 1))
    said = say("fit", "--dataset", "wrong.toml", "--model", "csp_lda")
    assert words in said.complaint
    assert said.status == 2


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ("preprocess.channels=[C3,Cx]", "No channel of this recording is called 'Cx'"),
        ("preprocess.drop=['C9']", "No channel of this recording is called 'C9'"),
        ("preprocess.band=[8,100]", "A 8-100 Hz band needs 0 < low < high < 32 Hz"),
        ("preprocess.resample=1e12", "takes more memory than there is"),
        ("epochs.window=[1,1]", "holds no sample at 64 Hz. Give its start and a later end"),
        ("epochs.stride=0", "epochs.stride = 0 s never reaches the next window"),
        ("epochs.reject=0.001", "has no window of left_hand, right_hand that is kept"),
        ("evaluation.n_folds=9", "Give fewer folds than subjects"),
        ("data.subjects=[1]", "Give at least two subjects, or use --protocol within-session"),
        ("evaluation.protocol=cross-session", "It takes subjects with two sessions"),
        ("evaluation.protocol=cross-dataset", "Give two data sets: --dataset first,second"),
        ("models=braindecode:EEGNett", "Did you mean 'EEGNet'?"),
    ],
)
def test_what_the_recordings_cannot_give_is_told(say: Say, sets: str, words: str) -> None:
    said = say("fit", "-c", "pipe.toml", "--set", sets)
    assert words in said.complaint
    assert (said.status, said.out) == (2, "")


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"bad": np.nan}, "Cz (not finite). Leave them out with --set \"preprocess.drop=['Cz']\""),
        ({"bad": 1e-5}, "subject 2, session 0, run 0: 1 of 3 channels cannot be used: Cz (flat)"),
        ({"sfreq": 128.0}, "subject 2 run 0 is sampled at 128 Hz and files subject 1 run 0 at 64"),
        ({"ch_names": ("C3", "Cz", "Oz")}, "differ in 2 channels (C4, Oz)"),
        ({"late": True}, "1 of 9 windows leave the recording (first: window 8, 29.00 to 31.00 s"),
        ({"classes": ("rest",)}, "The training side of fold subject=1 has no window of move"),
        (
            {"classes": ("blink",)},
            "Subject 2 of files has no event of rest, move; its files hold b",
        ),
    ],
)
def test_what_is_wrong_with_a_recording_is_told(
    say: Say, tmp_path: Path, second: dict[str, Any], words: str
) -> None:
    record(tmp_path / "data" / "s1_raw.fif")
    record(tmp_path / "data" / "s2_raw.fif", **second)
    said = say("fit", "-c", "pipe.toml", "--dataset", "files.toml", "--data-dir", "data")
    assert words in said.complaint
    assert said.status == 2


def test_a_damaged_recording_is_told(say: Say, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "s1_raw.fif").write_bytes(b"not a recording")
    said = say("fit", "-c", "pipe.toml", "--dataset", "files.toml", "--data-dir", "data")
    assert "s1_raw.fif cannot be read as FIF" in said.complaint
    assert said.status == 2


@pytest.mark.parametrize("name", ["eegmmidb13", "BNCI2014_001", "zhou2016"])
def test_without_files_and_network_it_stops_at_once(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (tmp_path / "empty").mkdir()
    start = time.monotonic()
    said = say("fit", "--dataset", name, "--data-dir", "empty", "--model", "csp_lda")
    assert time.monotonic() - start < 10
    assert "cannot be loaded (its files are not here, and " in said.err
    assert said.err.splitlines()[-1].startswith("RecordingError: Subject 1 of ")
    assert said.status == 2


@pytest.fixture
def finished(say: Say, tmp_path: Path, shared_run: Path) -> Path:
    """The folder of a finished run, to be damaged at will."""
    shutil.copytree(shared_run, tmp_path / "runs")
    return next((tmp_path / "runs").iterdir())


@pytest.fixture(scope="module")
def shared_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from neurodecode.experiment.choices import resolve
    from neurodecode.experiment.fit import fit

    folder = tmp_path_factory.mktemp("finished")
    card = folder / "tiny.toml"
    card.write_text(SIMULATED)
    flags = {
        "data.dataset": [str(card)],
        "models": ["csp_lda"],
        "preprocess.band": [8, 30],
        "evaluation.align": ["none"],
    }
    fit(resolve("mi", flags=flags), folder / "runs")
    return folder / "runs"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("results nosuch", "No run is called 'nosuch'. Known: mi-tiny-cross-subject-"),
        ("results --metric acc", "called 'acc'. Did you mean 'accuracy'?"),
        ("results --against mdm", "called 'mdm'. Known: csp_lda."),
        ("results --export rows.txt", "--export rows.txt must end in .csv or .parquet"),
        ("results --export pipe.toml/rows.csv", "pipe.toml/rows.csv cannot be written"),
    ],
)
@pytest.mark.usefixtures("finished")
def test_a_wrong_question_about_a_run_is_told(say: Say, command: str, words: str) -> None:
    said = say(*command.split())
    assert words in said.complaint
    assert (said.status, said.out) == (2, "")


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_damaged_run_is_told_and_listed(say: Say, finished: Path, text: str) -> None:
    (finished / "meta.json").write_text(text)
    said = say("results")
    assert "is not a run of neurodecode: its meta.json cannot be read" in said.complaint
    assert said.status == 2
    assert "broken" in say("list", "runs", "--json").document[0]["summary"]


def test_a_damaged_fold_is_computed_again(
    say: Say, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert say("fit", "-c", "pipe.toml").status == 0
    first, *others = sorted(tmp_path.glob("runs/*/folds/*.parquet"))
    first.write_bytes(b"PAR1 damaged PAR1")
    kept = {path: path.stat().st_mtime_ns for path in others}
    said = say("fit", "-c", "pipe.toml", "--json")
    assert said.status == 0
    assert said.document["finished"] == said.document["planned"] == 3
    assert kept == {path: path.stat().st_mtime_ns for path in others}
    assert "that fold will be computed again" in caplog.text


def breaks_after_two_folds(monkeypatch: pytest.MonkeyPatch, target: str, error: Any) -> None:
    """The third fit makes `target` raise."""
    own, done = Decoder.fit, []

    def breaks(*_: Any, **__: Any) -> None:
        raise error

    def fit(self: Decoder, *args: Any, **kwargs: Any) -> Decoder:
        done.append(self)
        if len(done) == 3:
            monkeypatch.setattr(target, breaks)
        return own(self, *args, **kwargs)

    monkeypatch.setattr(Decoder, "fit", fit)


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("target", "error", "status", "words"),
    [
        ("pyarrow.parquet.write_table", FULL, 2, "StoreError: .*No space left on device.*are kept"),
        (
            "neurodecode.training.checkpoint.save_file",
            FULL,
            2,
            "CheckpointError: .*safetensors cannot be written: No space left on device.*are kept",
        ),
        (
            "neurodecode.training.estimator.Decoder.predict_proba",
            FULL,
            2,
            "StoreError: The disk is full .*finished folds are kept",
        ),
        (
            "neurodecode.training.estimator.Decoder.predict_proba",
            MemoryError("8 TiB"),
            2,
            "MemoryError: It takes more memory than there is .8 TiB.*finished folds are kept",
        ),
        (
            "neurodecode.training.estimator.Decoder.predict_proba",
            KeyboardInterrupt(),
            130,
            "Stopped. Finished folds are kept; the same command goes on from there.",
        ),
    ],
    ids=["fold", "checkpoint", "anywhere", "memory", "ctrl-c"],
)
def test_stopped_in_the_third_fold_it_keeps_two(
    say: Say,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    error: BaseException,
    status: int,
    words: str,
) -> None:
    with monkeypatch.context() as patch:
        breaks_after_two_folds(patch, target, error)
        said = say("fit", "-c", "pipe.toml", "--jobs", "1")
    assert said.status == status
    assert re.search(words, said.err.splitlines()[-1])
    assert len(list(tmp_path.glob("runs/*/folds/*.parquet"))) == 2
    assert not list(tmp_path.glob("runs/*/*/.*"))
    again = say("fit", "-c", "pipe.toml", "--json")
    assert again.document["finished"] == 3


def test_a_folder_that_may_not_be_written_is_told(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    said = say("fit", "-c", "pipe.toml", "--runs", "locked")
    assert said.complaint == (
        "StoreError: Runs cannot be kept in locked (Permission denied). Choose another folder "
        "with --runs."
    )
    assert said.status == 2


def test_a_bug_of_ours_is_not_hidden(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("neurodecode.experiment.choices.resolve", bug)
    with pytest.raises(ZeroDivisionError):
        say("fit")


def test_an_error_in_a_worker_process_is_the_same_line(say: Say) -> None:
    command = ("fit", "-c", "pipe.toml", "--set", "model.csp_lda.n_patterns=0", "--jobs")
    alone, together = (say(*command, n).err.splitlines()[-1] for n in "12")
    assert alone.startswith("FitError: csp_lda, fold subject=1: csp_lda cannot be fitted to 24 win")
    assert alone.split(" fold subject=")[0] == together.split(" fold subject=")[0]
    assert alone[-80:] == together[-80:]


def test_a_killed_worker_is_told(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """How often it is tried again is tested where the workers are."""
    monkeypatch.setattr("neurodecode.evaluation.workers.TRIES", 1)
    monkeypatch.setattr("neurodecode.evaluation.runner._rest_of_unit", die)
    said = say("fit", "-c", "pipe.toml", "--jobs", "2")
    last = said.err.splitlines()[-1]
    assert re.match(r"FitError: Fold subject=\d is given up: its worker was killed 1 times", last)
    assert said.status == 2


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("fit -c pipe.toml --jobs 2 --scheduler tcp://host:1", "Leave one of them out."),
        ("fit -c pipe.toml --scheduler nowhere://x", "no Dask scheduler answers there"),
    ],
)
def test_a_scheduler_that_cannot_be_used_is_one_line(say: Say, words: str, complaint: str) -> None:
    said = say(*words.split())
    assert said.status == 2
    assert complaint in said.complaint
    assert said.complaint.startswith("ConfigError: --")


ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.NeurodecodeError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_comes_home_from_a_worker(kind: type[errors.NeurodecodeError]) -> None:
    assert len(ERRORS) > 5
    words: tuple[Any, ...] = ("model", "x", ["y"]) if kind is errors.UnknownName else ("words",)
    error = kind(*words)
    home = pickle.loads(pickle.dumps(error))
    assert type(home) is kind
    assert str(home) == str(error)


def test_many_known_names_are_cut_to_the_nearest() -> None:
    text = str(errors.UnknownName("model", "net7", [f"net{i}" for i in range(1000)]))
    assert "Did you mean 'net7'?" in text
    assert "Nearest of 1000: net7, " in text
    assert len(text) < 200


KINDS = (
    "models", "aligners", "augmentations", "datasets", "paradigms", "protocols", "metrics", "runs",
)  # fmt: skip


@pytest.mark.parametrize(
    "command",
    [
        *(f"list {kind}" for kind in KINDS),
        "fit -c pipe.toml",
        "fit -c pipe.toml --dry-run",
        "check pipe.toml",
        "results",
        "results --per-subject --pairs",
        "results --export rows.csv",
        "doctor",
    ],
)
@pytest.mark.usefixtures("finished")
def test_json_is_one_document_on_stdout(say: Say, command: str) -> None:
    said = say(*command.split(), "--json")
    assert said.status == 0
    assert said.document
    assert not set("{}[]") & set(said.err)


def test_json_of_two_runs_is_one_list(say: Say, finished: Path) -> None:
    shutil.copytree(finished, finished.with_name("other"))
    runs = [run["run"] for run in say("results", finished.name, "other", "--json").document]
    assert runs == [f"runs/{finished.name}", "runs/other"]


@pytest.mark.parametrize("command", ["fit --model csp_ldaa", "fit --dataste x", "list xyz"])
def test_json_of_a_mistake_is_one_document_too(say: Say, command: str) -> None:
    said = say(*command.split(), "--json")
    assert said.status == 2
    assert f"{said.document['error']}: {said.document['message']}" == said.complaint


def test_the_advice_for_a_bad_channel_can_be_pasted_into_a_shell(say: Say, tmp_path: Path) -> None:
    """Some shells, and most people, lose the quotes: a list of bare words is taken too."""
    for subject in (1, 2):
        record(tmp_path / "data" / f"s{subject}_raw.fif", bad=0.0)
    command = ("fit", "-c", "pipe.toml", "--dataset", "files.toml", "--data-dir", "data")
    assert "--set \"preprocess.drop=['Cz']\"" in say(*command).complaint
    for value in ("['Cz']", "[Cz]"):
        assert say(*command, "--dry-run", "--set", f"preprocess.drop={value}").status == 0


def test_a_subject_is_found_by_its_number(say: Say) -> None:
    said = say("fit", "-c", "pipe.toml", "--subjects", "01-02", "--dry-run", "--json")
    assert said.document["plan"]["subjects"] == 2


LIGHT = """
import sys
from neurodecode.cli import main
sys.argv = ["neurodecode", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    heavy = {"torch", "mne", "moabb", "sklearn", "pandas"} & set(sys.modules)
    sys.exit(f"imported {heavy}" if heavy else end.code)
"""


@pytest.mark.parametrize("command", ["--help", "fit --help", "list models", "list aligners"])
def test_help_and_lists_do_not_wait_for_heavy_libraries(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *command.split()], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_whoever_stops_reading_is_not_complained_to(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("from neurodecode.cli import main\nmain()\n")
    for command in ("list models | true", "list models | head -n 1", "list models >&-"):
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{sys.executable} run.py {command}"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(errors.__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command


def test_without_a_command_the_help_is_shown(say: Say) -> None:
    said = say()
    assert "Usage:" in said.out + said.err
    assert said.status == 2
