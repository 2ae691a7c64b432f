"""An account of energy of a run, and of a model; the command that shows them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.energy import energy_of_model, energy_of_run
from neurodecode.experiment.fit import fit
from neurodecode.nn.count import count
from neurodecode.results.store import Run, Store
from neurodecode.training import checkpoint


@pytest.fixture(scope="module")
def fitted(card: Path, tiny_epochs: EpochSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A net of one epoch, and a classical decoder, each with and without alignment."""
    choices = resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "models": ["dbconformer", "csp_lda"],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none", "euclidean:causal"],
            "train.epochs": 1,
        },
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neurodecode.experiment.fit.load_data", lambda *_, **__: (tiny_epochs, None))
        return fit(choices, tmp_path_factory.mktemp("energy") / "runs", n_workers=1)


@pytest.fixture
def read(tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Holds a word for each time that recordings are read."""
    times: list[str] = []

    def load(*_: Any, **__: Any) -> tuple[EpochSet, None]:
        times.append("read")
        return tiny_epochs, None

    monkeypatch.setattr("neurodecode.experiment.source.load_data", load)
    return times


@pytest.mark.usefixtures("read")
def test_every_decoder_of_a_run_is_counted_as_it_was_tested(
    fitted: Run, tiny_epochs: EpochSet
) -> None:
    document = energy_of_run(fitted, n_windows=4, n_folds=2, again=True)
    assert document["simulated"]
    assert document["trained"]
    assert [(e["model"], e["align"]) for e in document["models"]] == [
        ("dbconformer", "none"),
        ("csp_lda", "none"),
        ("dbconformer", "euclidean:causal"),
        ("csp_lda", "euclidean:causal"),
    ]
    net, classical, *_ = document["models"]
    row = next(r for r in fitted.rows() if r.model == "dbconformer")
    decoder = checkpoint.load(fitted.checkpoint_file(row.key))
    x = torch.from_numpy(decoder.normalized(tiny_epochs.x[:1]))
    assert net["macs"] == count(decoder.model_, x).macs
    assert len(net["folds"]) == 2
    assert 0 < net["modelled_nj"]["operations"] < net["modelled_nj"]["memory"]
    assert 0 < net["latency_ms"]["p50"] <= net["latency_ms"]["p99"]
    assert "layers" not in classical
    assert 0 <= classical["score"] <= 1


def test_what_was_counted_is_not_counted_again(fitted: Run, read: list[str]) -> None:
    first = energy_of_run(fitted, n_windows=3, n_folds=1, again=True)
    assert energy_of_run(fitted, n_windows=3, n_folds=1) == first
    assert json.loads((fitted.path / "energy.json").read_text()) == first
    assert read == ["read"]
    energy_of_run(fitted, n_windows=2, n_folds=1)  # another question
    energy_of_run(fitted, n_windows=2, n_folds=1, again=True)
    assert len(read) == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"models": [{}]}'])
@pytest.mark.usefixtures("read")
def test_a_damaged_account_is_made_anew(fitted: Run, text: str) -> None:
    (fitted.path / "energy.json").write_text(text)
    assert energy_of_run(fitted, n_windows=2, n_folds=1)["models"][0]["macs"] > 0


def test_other_recordings_are_refused(
    fitted: Run, tiny_epochs: EpochSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny_epochs.take_channels(tiny_epochs.ch_names[::-1])
    monkeypatch.setattr("neurodecode.experiment.source.load_data", lambda *_, **__: (tiny, None))
    with pytest.raises(StoreError, match="are not what they were: recordings, or the code"):
        energy_of_run(fitted, again=True)


def windows_of(card: Path) -> list[str]:
    return [f"data.dataset={card}", "preprocess.band=[8,30]"]


def test_a_model_is_counted_untrained(card: Path) -> None:
    document = energy_of_model("eegnet", sets=windows_of(card), n_windows=2)
    assert (document["trained"], document["simulated"]) == (False, True)
    (entry,) = document["models"]
    assert entry["macs"] > 0
    assert (entry["score"], entry["rate"], entry["modelled_nj"]["quantised"]) == (None, None, None)


def test_options_of_a_model_are_heeded(card: Path) -> None:
    deep, shallow = (
        energy_of_model(
            "dbconformer",
            sets=[*windows_of(card), f"model.dbconformer.depth={depth}"],
            n_windows=1,
        )["models"][0]["macs"]
        for depth in (2, 1)
    )
    assert deep > shallow


def test_a_classical_decoder_has_no_layers_to_count(card: Path) -> None:
    with pytest.raises(ConfigError, match="csp_lda is not a net: it has no layers to count"):
        energy_of_model("csp_lda", sets=windows_of(card))


Said = tuple[int, str, str]


def say(*words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    monkeypatch.setattr(sys, "argv", ["neurodecode", *words])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    return (int(end.value.code or 0), *capsys.readouterr())


@pytest.mark.usefixtures("read")
def test_the_command_shows_a_line_per_decoder(
    fitted: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("energy", fitted.id, "--runs", str(fitted.path.parent), "--windows", "2")
    status, out, _ = say(
        *command, "--folds", "1", "--layers", monkeypatch=monkeypatch, capsys=capsys
    )
    assert status == 0
    assert "MODELLED energy of one window, mi, tiny (SIMULATED recordings)" in out
    assert "not measured" in out
    line = next(line for line in out.splitlines() if line.startswith("csp_lda"))
    assert line.split()[3:] == ["-"] * 8
    assert "time_layers.0.feedforward.1" in out
    status, out, _ = say(*command, "--folds", "1", "--json", monkeypatch=monkeypatch, capsys=capsys)
    document = json.loads(out)
    assert document["models"][0]["macs"] > 0
    assert "layers" not in document["models"][0]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["dbconformr"], "No run or model is called 'dbconformr'. Did you mean 'dbconformer'?"),
        (["RUN", "--set", "train.lr=1"], "--set is for a model; the choices of mi-tiny-"),
        (["RUN", "--folds", "0"], "'--folds'"),
        (["csp_lda", "--set", "data.dataset=nosuch"], "is called 'nosuch'"),
    ],
)
def test_a_mistake_is_one_line(
    fitted: Run,
    words: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [fitted.id if word == "RUN" else word for word in words]
    status, out, err = say(
        "energy", *words, "--runs", str(fitted.path.parent), monkeypatch=monkeypatch, capsys=capsys
    )
    assert complaint in err
    assert (status, out) == (2, "")


def test_a_run_without_folds_is_told(tmp_path: Path) -> None:
    run = Store.open(tmp_path).run("empty")
    run.describe("", {"paradigm": "mi", "folds": []})
    with pytest.raises(StoreError, match="No fold of .*empty is finished"):
        energy_of_run(run)


def test_denoisers_are_refused(tmp_path: Path) -> None:
    run = Store.open(tmp_path).run("denoise")
    run.describe("", {"paradigm": "denoise", "folds": []})
    with pytest.raises(ConfigError, match="energy is counted for decoders only"):
        energy_of_run(run)
