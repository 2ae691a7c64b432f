"""A decoder of a run as a NIR file; the command that writes it."""

import errno
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.core.spec import TaskSpec
from neurodecode.experiment.export import export_run
from neurodecode.export import nir, parity
from neurodecode.results.rows import ResultRow
from neurodecode.results.store import Run
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

OPTIONS = {"stride": 1, "time": "stream", "neuron_options": {"reset": "hard"}}
SPEC = TaskSpec(ch_names=("C3", "Cz", "C4"), n_times=64, sfreq=64.0, n_outputs=2)


def finished(run: Run, models: Sequence[str]) -> Run:
    """Two folds of each decoder, as `fit` leaves them; all of one decoder hold the same."""
    rng = np.random.default_rng(0)
    x, y = 10 * rng.standard_normal((16, 3, 64), dtype=np.float32) + 50, np.arange(16) % 2
    decoders = {
        name: Decoder(
            name,
            sfreq=SPEC.sfreq,
            ch_names=SPEC.ch_names,
            options=OPTIONS if name == "spiking_eegnet" else {},
            train={"epochs": 1} if name == "spiking_eegnet" else {},
        ).fit(x, y)
        for name in models
    }
    rows = [
        ResultRow(
            key=f"{fold}{name}", paradigm="mi", dataset="tiny", protocol="cross-subject",
            fold=f"subject={fold}", subject=str(fold), session="*", model=name,
            align="euclidean:causal", seed=0, labels="true", metric="accuracy", score=0.5,
            scores={}, n_train=16, n_test=4, n_chans=3, n_times=64, n_classes=2, sfreq=64.0,
            n_params=decoders[name].n_params_, fit_time=0.0, predict_time=0.0, history={},
            simulated=True,
        )
        for fold in (1, 2)
        for name in models
    ]  # fmt: skip
    run.describe(
        "", {"folds": [row.key for row in rows], "paradigm": "mi", "classes": ["left", "right"]}
    )
    for row in rows:
        checkpoint.save(decoders[row.model], run.checkpoint_file(row.key))
        run.write_fold(row, pd.DataFrame({"trial": [0]}))
    return run


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A classical decoder, and a spiking one of one epoch."""
    folder = tmp_path_factory.mktemp("export") / "runs" / "mi-tiny"
    return finished(Run(folder), ["csp_lda", "spiking_eegnet"])


def test_the_first_spiking_decoder_is_written(fitted: Run, tmp_path: Path) -> None:
    document = export_run(fitted, tmp_path / "net.nir")
    row = next(row for row in fitted.rows() if row.model == "spiking_eegnet")
    assert (document["key"], document["fold"]) == (row.key, row.fold)
    assert document["populations"] == {"temporal_spikes": 16, "pointwise_spikes": 16}
    assert document["parity"]["n_steps"] == 8 * 64 * 32
    assert document["parity"]["n_spikes"] > 0
    assert document["parity"]["differing"] == 0
    assert document["parity"]["max_logit_difference"] < 1e-4
    assert list(tmp_path.iterdir()) == [tmp_path / "net.nir"]
    facts = nir.read(tmp_path / "net.nir").metadata
    assert facts["input"].endswith("aligned by euclidean:causal, one sample a step")
    assert (facts["ch_names"], facts["classes"]) == ("C3,Cz,C4", "left,right")


def test_a_fold_is_found_by_its_name_and_its_key(fitted: Run, tmp_path: Path) -> None:
    last = [row for row in fitted.rows() if row.model == "spiking_eegnet"][-1]
    for i, word in enumerate((last.fold, last.key, last.key[:5])):
        assert export_run(fitted, tmp_path / f"{i}.nir", fold=word)["key"] == last.key


def test_a_full_disk_leaves_nothing_and_an_old_file_stays(
    fitted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "net.nir"
    old.write_text("old")
    with pytest.raises(ConfigError, match=r"net.nir exists. .* replace it with --overwrite"):
        export_run(fitted, old)

    def breaks(graph: Any, path: Path) -> None:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(nir, "write", breaks)
        with pytest.raises(StoreError, match="No space left on device"):
            export_run(fitted, old, overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("net.nir", "old")]
    export_run(fitted, old, overwrite=True)
    assert nir.read(old).metadata["model"] == "spiking_eegnet"


def test_a_graph_that_is_another_net_is_not_written(
    fitted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = parity.compare
    monkeypatch.setattr(parity, "compare", lambda *given: replace(own(*given), differing=900))
    with pytest.raises(ConfigError, match="differ in 900 of .* This is a mistake of ours; please"):
        export_run(fitted, tmp_path / "net.nir")
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_one_line_or_one_document(
    fitted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(
            sys, "argv", ["neurodecode", "export", *words, "--runs", str(fitted.path.parent)]
        )
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    out = str(tmp_path / "net.nir")
    status, said, complaint = say(fitted.id, out)
    assert (status, complaint, said.count("\n")) == (0, "", 1)
    assert "14 nodes, 13 edges, 2 populations (16 + 16 neurons)" in said
    assert "on 8 windows of noise 0 of" in said
    status, said, complaint = say(fitted.id, out, "--overwrite", "--json")
    assert (status, complaint) == (0, "")
    assert json.loads(said)["parity"]["windows_from"] == "noise"
    for words, expected in (
        (["--model", "csp_lda"], "csp_lda is not a net, and export writes nets only"),
        (["--model", "spiking_egnet"], "Did you mean 'spiking_eegnet'? Known: csp_lda, spiking"),
        (["--fold", "subject=99"], "No fold of mi-tiny is called 'subject=99'"),
    ):
        status, said, complaint = say(fitted.id, str(tmp_path / "new.nir"), *words)
        assert (status, said, complaint.count("\n")) == (2, "", 1)
        assert expected in complaint
    assert list(tmp_path.iterdir()) == [tmp_path / "net.nir"]


def test_a_run_without_a_spiking_decoder_is_refused(tmp_path: Path) -> None:
    run = finished(Run(tmp_path / "runs" / "mi-old"), ["csp_lda"])
    with pytest.raises(ConfigError, match=r"No decoder of mi-old \(csp_lda\) can be expressed in"):
        export_run(run, tmp_path / "net.nir")


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path / "runs" / "mi-new")
    run.describe("", {"folds": ["k"], "paradigm": "mi"})
    with pytest.raises(StoreError, match="No fold of .*mi-new is finished"):
        export_run(run, tmp_path / "net.nir")
    run.describe("", {"folds": ["k"], "paradigm": "denoise"})
    with pytest.raises(ConfigError, match="mi-new trained denoisers"):
        export_run(run, tmp_path / "net.nir")
