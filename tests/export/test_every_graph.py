"""Every decoder that is a net: it is written as ONNX and says the same, or is on a list of ours."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.export.agreement import agreement
from neurodecode.export.archive import ask_own_archive, write_archive
from neurodecode.export.onnx import ask_onnx, facts_of, open_onnx, write_onnx
from neurodecode.export.program import logits_of, program_of
from neurodecode.models import MODELS
from neurodecode.nn.spiking.neurons import is_spiking

N_CHANS, N_TIMES = 4, 512
SPEC = TaskSpec(ch_names=("C3", "Cz", "C4", "Pz"), n_times=N_TIMES, sfreq=128.0, n_outputs=2)
MEAN, SCALE = np.full((N_CHANS, 1), 5.0, np.float32), np.full((N_CHANS, 1), 8.0, np.float32)
X = (5 + 8 * np.random.default_rng(0).standard_normal((5, N_CHANS, N_TIMES))).astype(np.float32)
QUICK = ["dbconformer", "eegnet", "spiking_eegnet"]
NETS = [
    name
    for name in MODELS.names()
    if name != "braindecode" and isinstance(MODELS.get(name)(SPEC), nn.Module)
]
ONE_AT_A_TIME = {"atcnet", "mvpformer", "spiking_lmu"}  # torch cannot leave their batch open
NO_ONNX = {"deeperbrain"}  # distances between electrodes: ONNX lacks torch's operation


def said_by_itself(net: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    logits = logits_of(net, (X - MEAN) / SCALE)
    return logits, torch.from_numpy(logits).softmax(dim=1).numpy()


def check(net: nn.Module, folder: Path, name: str) -> None:
    program = program_of(net, MEAN, SCALE, n_times=N_TIMES)
    sizes = (1,) if program.batch else (1, 2, 5)
    assert program.batch == (1 if name in ONE_AT_A_TIME else None)
    write_onnx(program, folder / "net.onnx", {"model": name})
    ask = ask_onnx(folder / "net.onnx")
    found = agreement(ask, said_by_itself(net), X, sizes, spikes=is_spiking(net))
    assert found.agrees, found
    assert found.batch_sizes == sizes


def test_there_are_nets() -> None:
    assert {"shallow", "mvpformer", "spiking_dbconformer", *QUICK} <= set(NETS)
    assert set(NETS) >= ONE_AT_A_TIME | NO_ONNX


@pytest.mark.parametrize("name", QUICK)
def test_a_net_says_the_same_as_onnx(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    check(MODELS.get(name)(SPEC), tmp_path, name)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(set(NETS) - set(QUICK) - NO_ONNX))
def test_every_other_net_says_the_same_as_onnx(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    check(MODELS.get(name)(SPEC), tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["culif", "hoyer", "parallel", "ultra"])
def test_neurons_of_each_kind_say_the_same_as_onnx(neuron: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = MODELS.get("spiking_eegnet")(SPEC, neuron=neuron)
    check(net, tmp_path, "spiking_eegnet")


def test_a_net_says_the_same_as_an_archive(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = MODELS.get("eegnet")(SPEC)
    program = program_of(net, MEAN, SCALE, n_times=N_TIMES)
    write_archive(program, tmp_path / "net.pt2", {"model": "eegnet"})
    found = agreement(ask_own_archive(tmp_path / "net.pt2"), said_by_itself(net), X, (1, 5))
    assert found.agrees, found
    assert str(Path(__file__).parents[2]).encode() not in (tmp_path / "net.pt2").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NO_ONNX))
def test_what_onnx_lacks_is_one_line_and_an_archive_takes_it(name: str, tmp_path: Path) -> None:
    net = MODELS.get(name)(SPEC)
    program = program_of(net, MEAN, SCALE, n_times=N_TIMES)
    with pytest.raises(ConfigError, match="cannot be written as ONNX: .*Write .pt2 instead") as no:
        write_onnx(program, tmp_path / "net.onnx", {})
    assert "\n" not in str(no.value)
    write_archive(program, tmp_path / "net.pt2", {})
    ask = ask_own_archive(tmp_path / "net.pt2")
    assert agreement(ask, said_by_itself(net), X, (1, 5)).agrees


class Turns(nn.Module):
    """Does with a window what its first sample says."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :2] if float(x[0, 0, 0]) > 0 else -x[:, 0, :2]


def test_a_net_that_decides_in_python_is_refused_in_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(
        ConfigError, match="Turns cannot be written as a graph: .*Export another"
    ) as no:
        program_of(Turns(), MEAN, SCALE, n_times=N_TIMES)
    assert "\n" not in str(no.value)
    assert capfd.readouterr() == ("", "")


def test_a_file_keeps_its_facts_and_no_folder_of_this_machine(tmp_path: Path) -> None:
    program = program_of(nn.Sequential(nn.Flatten(), nn.Linear(8, 2)), MEAN, SCALE, n_times=2)
    write_onnx(program, tmp_path / "net.onnx", {"model": "linear"})
    assert facts_of(open_onnx(tmp_path / "net.onnx")) == {"model": "linear"}
    written = (tmp_path / "net.onnx").read_bytes()
    assert b"site-packages" not in written
    assert b"neurodecode/export" not in written


def wrong(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nothing but zeros, and for the last of several windows not a number."""
    logits = np.zeros((len(x), 2))
    logits[-1] = np.nan if len(x) > 1 else 0
    return logits, np.full((len(x), 2), 0.5)


@pytest.mark.parametrize("spikes", [False, True])
def test_another_net_does_not_agree_however_it_is_asked(spikes: bool) -> None:
    same = np.zeros((4, 2)), np.full((4, 2), 0.5)
    assert agreement(wrong, same, X[:4], (1,), spikes=spikes).agrees
    found = agreement(wrong, same, X[:4], (1, 2), spikes=spikes)
    assert (found.agrees, found.n_beyond) == (False, 2)
    one_flip = np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.1, 0.0]]), same[1]
    assert agreement(wrong, one_flip, X[:4], (1,), spikes=spikes).agrees is spikes
