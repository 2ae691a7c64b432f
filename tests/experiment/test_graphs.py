"""A net of a run as ONNX or an archive of torch, compared on windows that it was tested on."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.cli import main
from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.experiment import graphs
from neurodecode.experiment.choices import resolve
from neurodecode.experiment.export import export_run
from neurodecode.experiment.fit import fit
from neurodecode.experiment.source import Source
from neurodecode.export.onnx import ask_onnx, facts_of, open_onnx
from neurodecode.results.store import Run
from neurodecode.training import checkpoint

README = Path(__file__).parents[2] / "README.md"
ALIGN = "euclidean:causal"


@pytest.fixture(scope="module")
def run(card: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A classical decoder and a net, two epochs of it, with one for live use."""
    flags = {
        "data.dataset": [str(card)],
        "evaluation.align": [ALIGN],
        "preprocess.band": [8, 30],
        "evaluation.online_ready": True,
        "models": ["csp_lda", "eegnet"],
        "train.epochs": 2,
    }
    return fit(resolve("mi", flags=flags), tmp_path_factory.mktemp("graphs") / "runs", n_workers=1)


@pytest.fixture(scope="module")
def live(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The decoder for live use as net.onnx, and what was said of it."""
    file = tmp_path_factory.mktemp("file") / "net.onnx"
    return file, export_run(run, file, fold="everybody")


@pytest.mark.parametrize(("suffix", "name"), [("onnx", "ONNX"), ("pt2", "torch.export")])
def test_the_first_net_is_written_and_compared_on_its_test_windows(
    run: Run, tmp_path: Path, suffix: str, name: str
) -> None:
    document = export_run(run, tmp_path / f"net.{suffix}")
    row = next(row for row in run.rows() if row.model == "eegnet")
    assert (document["format"], document["key"], document["fold"]) == (name, row.key, row.fold)
    assert document["input"]["shape"] == ["batch", 5, row.n_times]
    assert document["input"]["unit"] == "microvolts"
    assert document["input"]["before"].endswith(f"aligned by {ALIGN}")
    parity = document["parity"]
    assert parity["windows_from"] == f"test windows of {row.fold}"
    assert (parity["n_windows"], parity["batch_sizes"]) == (row.n_test, (1, 2, 7, row.n_test))
    assert parity["max_logit_difference"] <= parity["tolerance"]
    assert parity["tolerance"] == 1e-4 * max(1, parity["largest_logit"])
    assert [p.name for p in tmp_path.iterdir()] == [f"net.{suffix}"]


def test_a_file_gives_the_decoder_s_probabilities_and_says_what_it_takes(
    run: Run, live: tuple[Path, dict[str, Any]]
) -> None:
    file, document = live
    facts = facts_of(open_onnx(file))
    assert facts["fold"] == "everybody"
    assert facts["classes"].split(",") == document["classes"] == ["left_hand", "right_hand"]
    assert facts["ch_names"].split(",") == ["C3", "Cz", "C4", "Fz", "Pz"]
    assert (float(facts["sfreq"]), json.loads(facts["simulated"])) == (64.0, True)
    assert json.loads(facts["preprocess"])["filter"] == "causal"
    decoder = checkpoint.load(run.checkpoint_file(document["key"]))
    x = Source(run, lambda *_: None).epochs.x[:9].astype(np.float32)
    _, probabilities = ask_onnx(file)(x)
    np.testing.assert_allclose(probabilities, decoder.predict_proba(x), atol=1e-6)


def test_the_readme_s_lines_for_onnxruntime_run(
    live: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(live[0].parent)
    blocks = re.findall(r"```py\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    (lines,) = [block for block in blocks if "import onnxruntime" in block]
    names: dict[str, Any] = {}
    exec(compile(lines, "README.md", "exec"), names)
    np.testing.assert_allclose(names["probabilities"].sum(axis=1), 1, atol=1e-6)


def test_a_graph_that_says_something_else_is_not_left_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "net.onnx"
    old.write_text("old")

    def off(own: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def asked(path: Path) -> Any:
            ask = own(path)
            return lambda x: (ask(x)[0] + np.float32(1e-3), ask(x)[1])

        return asked

    form = graphs.FORMATS[".onnx"]
    monkeypatch.setitem(graphs.FORMATS, ".onnx", form._replace(asked=off(form.asked)))
    with pytest.raises(ConfigError, match=r"on 16 of 16 windows the ONNX graph and the decoder"):
        export_run(run, old, overwrite=True)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("net.onnx", "old")]


@pytest.mark.parametrize(
    ("out", "words", "expected"),
    [
        ("net.tflite", {}, "ends in '.tflite', which is no format. Name it .onnx"),
        ("net", {}, "has no suffix, which is no format"),
        ("net.onnx", {"model": "csp_lda"}, "csp_lda is not a net, and export writes nets only"),
        ("net.nir", {}, "can be expressed in NIR"),
    ],
)
def test_what_cannot_be_is_one_line(
    run: Run, tmp_path: Path, out: str, words: dict[str, str], expected: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(expected)) as no:
        export_run(run, tmp_path / out, **words)
    assert "\n" not in str(no.value)
    assert list(tmp_path.iterdir()) == []


def test_windows_that_are_no_longer_there_are_one_line(run: Run, tmp_path: Path) -> None:
    shutil.copytree(run.path, tmp_path / run.id)
    moved = Run(tmp_path / run.id)
    moved.describe("", {**moved.meta(), "data": "others"})
    (moved.path / "config.toml").write_text((run.path / "config.toml").read_text())
    with pytest.raises(StoreError, match="are not what they were"):
        export_run(moved, tmp_path / "net.onnx")
    assert not (tmp_path / "net.onnx").exists()


def test_the_command_says_one_line_or_one_document(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str) -> tuple[int, str]:
        out = str(tmp_path / "net.onnx")
        runs = str(run.path.parent)
        monkeypatch.setattr(
            sys, "argv", ["neurodecode", "export", run.id, out, "--runs", runs, *words]
        )
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().out

    status, said = say()
    assert (status, said.count("\n")) == (0, 1)
    assert "at a time, logits differ by up to" in said
    assert "Outputs: logits, probabilities of left_hand, right_hand." in said
    status, said = say("--overwrite", "--json")
    assert status == 0
    assert json.loads(said)["outputs"][1]["name"] == "probabilities"
