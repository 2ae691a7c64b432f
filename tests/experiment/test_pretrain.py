import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest
import torch
from toy_backbone import ToyBackbone, add_toy

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.experiment import corpus as corpus_module
from neurodecode.experiment.choices import Tree, to_toml
from neurodecode.experiment.corpus import Corpus, choose_people, find_sources, read_corpus
from neurodecode.experiment.pretrain import backbone_file, make_pretrain_plan, pretrain
from neurodecode.experiment.pretrain_choices import resolve_pretrain
from neurodecode.recordings.load import Recording
from neurodecode.results.pretraining import read_curve
from neurodecode.results.store import Store
from neurodecode.training.pretrain import Moment
from neurodecode.training.pretrained import load_pretrained, restore_backbone

CARD = """
name = "{name}"
description = "Simulated people"
paradigm = "{paradigm}"
simulated = true
[source]
kind = "synthetic"
[source.arguments]
paradigm = "{simulated}"
n_subjects = {n}
n_sessions = 1
cache = false
{more}
"""
SMALL = ("train.steps=12", "train.batch_size=4", "train.validate_every=5", "train.log_every=2",
         "train.validation_windows=4", "train.window=2.0", "train.device=cpu",
         "train.save_every=0")  # fmt: skip

BRAIN = {  # what the faked recordings of each card look like
    "hands": {"names": ("C3", "Cz", "C4", "Fz", "Pz"), "sfreq": 64.0},
    "rest": {"names": ("O1", "O2", "X9"), "sfreq": 100.0},
}


def write_card(folder: Path, name: str, **how: Any) -> Path:
    usual = {"paradigm": "mi", "simulated": "imagery", "n": 4, "more": ""}
    path = folder / f"{name}.toml"
    path.write_text(CARD.format(name=name, **{**usual, **how}))
    return path


@pytest.fixture
def cards(tmp_path: Path) -> list[str]:
    """Four people who imagine movements, three of whom rest in another data set."""
    rest = write_card(tmp_path, "rest", paradigm="state", simulated="state", n=3)
    return [str(write_card(tmp_path, "hands")), str(rest)]


def fake(dataset: Any, subject: Any, **facts: Any) -> Recording:
    """Half a minute of noise and rhythm, of one person."""
    name = "rest" if "state" in dataset.code else "hands"
    how: dict[str, Any] = {**BRAIN[name], **facts}
    rng = np.random.default_rng([int(subject), len(name)])
    sfreq, names = how["sfreq"], list(how["names"])
    t = np.arange(round(how.get("seconds", 30) * sfreq)) / sfreq
    x = 1e-5 * np.sin(2 * np.pi * 9 * t + rng.uniform(0, 6, (len(names), 1)))
    x = x + 3e-6 * rng.standard_normal(x.shape)
    for flat in how.get("flat", ()):
        x[flat] = 0.0
    raw = mne.io.RawArray(x, mne.create_info(names, sfreq, "eeg"), verbose="ERROR")
    return Recording(
        raw=raw, onset=np.zeros(0), duration=np.zeros(0), dataset=dataset.code,
        subject=str(subject), session="0", run="0",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def facts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """People are faked, and what is put here is true of all of them."""
    add_toy(monkeypatch)
    said: dict[str, Any] = {}

    def load(dataset: Any, subject: Any) -> Iterator[Recording]:
        yield fake(dataset, subject, **said)

    monkeypatch.setattr(corpus_module, "load_recordings", load)
    return said


def choose(cards: list[str], *sets: str, **flags: Any) -> Tree:
    return resolve_pretrain(
        sets=[*SMALL, *sets], flags={"data.dataset": cards, "models": ["toy"], **flags}
    )


def plain(choices: Tree) -> Any:
    return json.loads(json.dumps(choices))


def read(choices: Tree, sfreq: float = 64.0) -> Corpus:
    return read_corpus(choices, find_sources(choices), sfreq=sfreq, n_times=128)


def say(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["neurodecode", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def asked(cards: list[str], runs: Path, *more: str) -> list[str]:
    sets = [word for text in SMALL for word in ("--set", text)]
    names = [word for card in cards for word in ("--dataset", card)]
    return ["pretrain", "--model", "toy", *names, *sets, "--runs", str(runs), *more]


def test_later_places_win_and_the_choices_repeat_the_run(tmp_path: Path, cards: list[str]) -> None:
    choices = choose(cards, "train.minutes=3", "data.hold_out=0.4")
    assert choices["train"]["steps"] == 12
    assert choices["data"]["data_dir"] == ["", ""]
    assert choices["data"]["subjects"] == [[], []]
    again = tmp_path / "again.toml"
    again.write_text(to_toml(choices))
    assert plain(resolve_pretrain(pipeline=again)) == plain(choices)
    only_minutes = resolve_pretrain(sets=["train.minutes=3"], flags={"models": ["toy"]})
    assert only_minutes["train"]["steps"] is None  # the default is not a second end
    apart = choose(cards, **{"data.data_dir": ["", "/x"], "data.subjects": [[1, 2]]})
    assert apart["data"]["data_dir"] == ["", "/x"]
    assert apart["data"]["subjects"] == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("data.dataset=synthetik", "Did you mean 'synthetic'"),
        ("data.dataset=[]", "names|empty"),
        ("data.data_dir=['a','b','c']", "3 entries for 2 data sets"),
        ("data.subjects=[1,2]", "is not a list"),
        ("data.hold_out=1.0", "0 or more and below 1"),
        ("preprocess.resample=100", "No option of"),
        ("preprocess.bad_channels=drp", "one of 'drop'"),
        ("train.steps=0", "1 or more"),
        ("train.window=-1.0", "more than 0"),
        ("train.batchsize=4", "Did you mean 'batch_size'"),
        ("train.keep=first", "one of 'best'"),
        ("train.strategy=ddp_spawn", "Give ddp"),
        ("train.device=gpu9", "cannot be used here"),
        ("models=mvpformr", "Did you mean 'mvpformer'"),
        ("models=['toy','toy']", "takes one backbone"),
        ("model.toy.depth=3", "No option of"),
        ("model.other.width=3", "model of this run"),
        ("epochs.window=[0,1]", "No section"),
        ("paradigm=mi", "is for neurodecode fit"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_read(
    word: str, words: str, cards: list[str]
) -> None:
    flags: dict[str, Any] = {} if word.startswith("models") else {"models": ["toy"]}
    if not word.startswith("data.dataset"):
        flags["data.dataset"] = cards
    with pytest.raises(ConfigError, match=words) as caught:
        resolve_pretrain(sets=[word], flags=flags)
    assert "\n" not in str(caught.value)


def test_a_person_is_held_out_everywhere_or_nowhere(cards: list[str]) -> None:
    """The simulator makes the same person of the same number, whatever they do."""
    hands, rest = find_sources(choose(cards, "data.hold_out=0.3"))
    assert 1 <= len(hands.held_out) < 4
    assert 1 <= len(rest.held_out) < 3
    assert hands.held_out & set(rest.subjects) == rest.held_out
    nobody = find_sources(choose(cards, "data.hold_out=0.0"))
    assert not any(source.held_out for source in nobody)
    roles = [(p["card"], p["subject"], p["role"]) for p in hands.seen]
    assert [r[:2] for r in roles] == [("hands", str(s)) for s in (1, 2, 3, 4)]
    assert {r[1] for r in roles if r[2] == "validation"} == {str(s) for s in hands.held_out}
    assert hands.seen[0]["dataset"] == hands.dataset.code


@pytest.mark.parametrize(("n", "hold_out", "expected"), [
    (10, 0.2, 2), (10, 0.01, 1), (2, 0.9, 1), (1, 0.5, 0), (10, 0.0, 0), (10, 0.99, 9),
])  # fmt: skip
def test_how_many_are_held_out(n: int, hold_out: float, expected: int) -> None:
    chosen = choose_people([("p", range(n))], hold_out, seed=0)
    assert len(chosen) == expected
    assert choose_people([("p", range(n))], hold_out, seed=0) == chosen


def test_one_person_alone_is_learned_from_and_it_is_said(cards: list[str]) -> None:
    choices = choose(cards[:1], **{"data.subjects": [[2]]})
    found = read(choices)
    assert found.held_out == {"hands": []}
    assert "hands: one person, so nobody is held out" in found.notes


def test_nobody_left_to_learn_from_is_an_error(tmp_path: Path) -> None:
    many = write_card(tmp_path, "many", n=6)
    few = write_card(tmp_path, "few", paradigm="state", simulated="state", n=6)
    choices = choose([str(many), str(few)], "data.hold_out=0.9")
    held = choose_people([("simulated with seed 0", range(1, 7))], 0.9, 0)
    (left,) = {str(i) for i in range(1, 7)} - {subject for _, subject in held}
    others = [i for i in range(1, 7) if str(i) != left]
    choices["data"]["subjects"] = [others, [*others, int(left)]]
    find_sources(choices)  # one is left in the second
    choices["data"]["subjects"] = [[1, 2], [1, 2]]
    choices["data"]["hold_out"] = 0.9
    find_sources(choices)  # of two, one
    with pytest.raises(UnknownName, match="subject of"):
        find_sources(choose([str(many)], **{"data.subjects": [[77]]}))


def test_recordings_come_at_the_backbones_rate_in_microvolts(cards: list[str]) -> None:
    found = read(choose(cards))
    both = {name: [*found.train[name], *found.held_out[name]] for name in found.train}
    assert [len(stretches) for stretches in both.values()] == [4, 3]
    for stretches in both.values():
        assert all(s.x.shape[1] == 30 * 64 for s in stretches)
        assert all(5 < s.x.std() < 15 for s in stretches)
    assert "rest: resampled from 100 Hz to the backbone's 64 Hz" in found.notes
    assert not any("hands: resampled" in note for note in found.notes)
    assert np.isfinite(both["hands"][0].positions).all()
    assert np.isnan(both["rest"][0].positions[2]).all()  # X9 is no place on the head
    (note,) = [note for note in found.notes if "positions" in note]
    assert "rest: positions of electrodes are unknown, all or some, in 3 of 3 stretches" in note


def test_a_band_beyond_the_recording_is_left_out_and_said(cards: list[str]) -> None:
    found = read(choose(cards, "preprocess.band=[0.5, 40.0]", "preprocess.notch=50.0"))
    (note,) = [note for note in found.notes if "nothing above" in note and "hands" in note]
    assert "at 64 Hz nothing above half of that is recorded" in note
    (note,) = [note for note in found.notes if "nothing above" in note and "rest" in note]
    assert "at 100 Hz" in note  # the notch is at its limit, the band is not
    assert not any(
        "nothing above" in n for n in read(choose(cards, "preprocess.band=[1, 30]")).notes
    )


def test_bad_channels_are_dropped_and_said(cards: list[str], facts: dict[str, Any]) -> None:
    facts["flat"] = [1]
    found = read(choose(cards[:1]))
    assert all(len(s.x) == 4 for s in found.train["hands"])
    assert any("dropped" in note and "(Cz)" in note for note in found.notes)
    with pytest.raises(SignalError, match="hands|Synthetic.* Cz .flat."):
        read(choose(cards[:1], "preprocess.bad_channels=stop"))
    facts["flat"] = list(range(5))
    with pytest.raises(SignalError, match="No recording to learn from"):
        read(choose(cards[:1]))


def test_channels_are_chosen_where_a_recording_has_them(cards: list[str]) -> None:
    found = read(choose(cards, "preprocess.channels=['C4','C3','O1']"))
    assert {len(s.x) for s in found.train["hands"]} == {2}
    assert {len(s.x) for s in found.train["rest"]} == {1}
    assert {len(s.x) for s in read(choose(cards, "preprocess.drop=['Cz']")).train["hands"]} == {4}


def test_recordings_too_short_for_a_window_are_left_out(
    cards: list[str], facts: dict[str, Any]
) -> None:
    facts["seconds"] = 1.5
    with pytest.raises(SignalError, match="holds a window of 2 s of the channels asked for"):
        read(choose(cards))


def test_a_key_follows_what_changes_the_weights(cards: list[str], facts: dict[str, Any]) -> None:
    def key(*sets: str) -> str:
        return make_pretrain_plan(choose(cards, *sets))[0].key

    usual = key()
    assert key("train.device=auto", "train.save_every=9", "train.workers=1") == usual
    changes = ("train.lr=0.1", "train.seed=1", "model.toy.width=9", "preprocess.band=[2, 30]")
    others = [key(change) for change in changes]
    facts["seconds"] = 20
    assert len({usual, *others, key()}) == 6


def test_a_key_follows_the_options_of_the_pretext(cards: list[str]) -> None:
    def key(*sets: str) -> str:
        choices = choose(cards, *sets, models=["deeperbrain"])
        return make_pretrain_plan(choices)[0].key

    assert key() == key("pretext.mask_ratio=0.5") != key("pretext.mask_ratio=0.9")


def test_a_run_keeps_the_backbone_its_curve_and_whom_it_saw(
    tmp_path: Path, cards: list[str]
) -> None:
    choices = choose(cards, "model.toy.width=6")
    run = pretrain(choices, tmp_path / "runs")
    meta = run.meta()
    assert meta["finished"]
    assert meta["simulated"]
    found = load_pretrained(backbone_file(run))
    assert found.options["width"] == 6
    assert found.seen == meta["seen"]
    assert len(found.seen) == 7
    assert {p["role"] for p in found.seen} == {"train", "validation"}
    assert found.header["choices"]["train"]["steps"] == 12
    assert found.header["environment"]["libraries"]["torch"]
    assert isinstance(restore_backbone(found), ToyBackbone)
    curve = read_curve(run)
    whole = curve[(curve["part"] == "validation") & (curve["dataset"] == "all")]
    assert whole["step"].tolist() == [5, 10, 12]
    assert set(curve["dataset"]) == {"all", "hands", "rest"}
    assert not (run.path / "resume").exists()
    before = backbone_file(run).read_bytes()
    again = pretrain(choices, tmp_path / "runs", on_moment=lambda moment: pytest.fail("trained"))
    assert again.path == run.path
    assert backbone_file(run).read_bytes() == before


def test_a_damaged_backbone_is_made_again(
    tmp_path: Path, cards: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    choices = choose(cards)
    run = pretrain(choices, tmp_path)
    weights = load_pretrained(backbone_file(run)).weights
    backbone_file(run).write_bytes(b"rubbish")
    pretrain(choices, tmp_path)
    assert "It is made again" in caplog.text
    again = load_pretrained(backbone_file(run)).weights
    assert all(torch.equal(again[name], value) for name, value in weights.items())


def stop_at(step: int) -> Any:
    def stop(self: Any, moment: Moment) -> None:
        if moment.step >= step:
            raise KeyboardInterrupt

    return stop


def test_the_command_goes_on_where_it_was_interrupted(
    tmp_path: Path,
    cards: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = pretrain(choose(cards), tmp_path / "whole")
    words = asked(cards, tmp_path / "runs")
    with monkeypatch.context() as patch:
        patch.setattr("neurodecode.show.progress.Progress.moment", stop_at(8))
        assert say(patch, *words) == 130
    assert "newest state is kept; the same command goes on" in capsys.readouterr().err
    (run,) = Store(tmp_path / "runs").runs()
    assert not run.meta()["finished"]
    assert len(list((run.path / "resume").iterdir())) == 2
    assert say(monkeypatch, "list", "runs", "--runs", str(tmp_path / "runs")) == 0
    assert "unfinished pretraining, step 5" in capsys.readouterr().out
    assert say(monkeypatch, "results", "--runs", str(tmp_path / "runs")) == 0
    assert "UNFINISHED" in capsys.readouterr().out
    assert say(monkeypatch, *words) == 0
    said = capsys.readouterr()
    assert "goes on from step 7" in said.err
    assert "pretrain toy" in said.out
    one, two = (load_pretrained(backbone_file(r)).weights for r in (whole, run))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_command_line_shows_the_curve_and_the_people(
    tmp_path: Path,
    cards: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = asked(cards, tmp_path / "runs", "--subjects", "1-4", "--subjects", "-")
    assert say(monkeypatch, *words) == 0
    said = capsys.readouterr()
    assert "SIMULATED" in said.out
    assert "of nothing" in said.out
    assert "hands, learned from: " in said.out
    assert "resampled from 100 Hz" in said.err
    (run,) = Store(tmp_path / "runs").runs()
    assert say(monkeypatch, "results", "--runs", str(tmp_path / "runs"), "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["finished"]
    assert [line["dataset"] for line in document["validation"]] == ["hands", "rest", "all"]
    assert set(document["validation"][-1]) == {"dataset", "n_windows", "loss", "of_nothing"}
    assert document["curve"]["train"]["last"] < document["curve"]["train"]["first"]
    assert Path(document["checkpoint"]).is_file()
    assert len(document["seen"]) == 7
    assert say(monkeypatch, "results", "--runs", str(tmp_path / "runs"), "--per-subject") == 2
    assert "is a pretraining" in capsys.readouterr().err
    assert say(monkeypatch, "list", "runs", "--runs", str(tmp_path / "runs")) == 0
    assert "12 steps" in capsys.readouterr().out
    config = str(run.path / "config.toml")
    assert say(monkeypatch, "pretrain", "-c", config, "--runs", str(tmp_path / "runs")) == 0
    assert "finished before" in capsys.readouterr().err
    assert say(monkeypatch, "check", config) == 0
    assert "parameters" in capsys.readouterr().out


def test_a_dry_run_reads_and_writes_nothing(
    tmp_path: Path,
    cards: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(corpus_module, "load_recordings", lambda *_: pytest.fail("read"))
    assert say(monkeypatch, *asked(cards, tmp_path / "runs", "--dry-run", "--json")) == 0
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert plan["hands"].endswith("held out, SIMULATED")
    assert plan["models"] == {"toy": 8 * 16 + 8}
    assert not (tmp_path / "runs").exists()


def test_other_recordings_begin_another_run_and_it_is_said(
    tmp_path: Path,
    cards: list[str],
    facts: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(moment: Moment) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(choose(cards), tmp_path, on_moment=stop)
    (old,) = Store(tmp_path).runs()
    facts["seconds"] = 20
    new = pretrain(choose(cards), tmp_path)
    assert new.path != old.path
    assert f"{old.path}, unfinished, has the same choices" in caplog.text
    assert len(list((old.path / "resume").iterdir())) == 1


def test_backbones_are_listed_and_pretraining_is_no_paradigm_of_fit() -> None:
    from neurodecode.core.places import pipeline_names
    from neurodecode.show.listings import listing

    assert "mvpformer" in dict(listing("backbones", Path()))
    assert "pretrain" not in pipeline_names()


def test_the_file_that_comes_with_the_package_builds() -> None:
    choices = resolve_pretrain()
    assert choices["models"] == ["mvpformer"]
    find_sources(choices)


DRIVER = """
import sys
sys.path[:0] = [{tests!r}]
import torch
torch.set_num_threads(1)
from neurodecode.core.registry import Listing
from neurodecode.models import BACKBONES
import toy_backbone
BACKBONES._listings["toy"] = Listing("toy_backbone", "")
BACKBONES._parts["toy"] = toy_backbone.ToyBackbone
from neurodecode.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_killed_goes_on(how: signal.Signals, tmp_path: Path) -> None:
    card = write_card(tmp_path, "few", n=2, more='sfreq = 64.0\nn_trials = 4\nch_names = ["C3"]')
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(tests=str(Path(__file__).parents[1])))
    words = asked([str(card)], tmp_path / "runs", "--steps", "4000")
    call = [sys.executable, str(driver), *words]
    with subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        states: list[Path] = []
        while len(states) < 2 and process.poll() is None:
            time.sleep(0.05)
            states = list(tmp_path.glob("runs/*/resume/step-*.safetensors"))
        os.kill(process.pid, how)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(60) == (-how if how == signal.SIGKILL else 130), said
    assert "Traceback" not in said
    (run,) = Store(tmp_path / "runs").runs()
    assert not run.meta()["finished"]
    step = max(int(p.stem.removeprefix("step-")) for p in run.path.glob("resume/step-*"))
    again = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert again.stderr is not None
    for line in again.stderr:
        if b"goes on from step" in line:
            break
    again.kill()
    again.wait(60)
    again.stderr.close()
    assert int(line.split()[-1]) == step
