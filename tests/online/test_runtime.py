"""A net is asked by whichever is faster, and only where it says the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError
from neurodecode.core.spec import TaskSpec
from neurodecode.export.onnx import facts_of, open_onnx
from neurodecode.models import MODELS
from neurodecode.online import runtime as module
from neurodecode.online.runtime import SAME
from neurodecode.online.score import Net

SPEC = TaskSpec(ch_names=("C3", "Cz", "C4", "Pz"), n_times=256, sfreq=128.0, n_outputs=2)
MEAN, SCALE = np.full((4, 1), 3.0, np.float32), np.full((4, 1), 7.0, np.float32)
X = (3 + 7 * np.random.default_rng(0).standard_normal((20, 4, 256))).astype(np.float32)


def scored(net: nn.Module, **how: Any) -> Net:
    return Net(net, MEAN, SCALE, 256, **how)


class Means(nn.Module):
    """Weighs the mean of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.weigh(x.mean(dim=2))


def small() -> Means:
    torch.manual_seed(0)
    return Means()


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a window takes in onnxruntime and in torch, s, as a rehearsal finds it."""
    times = [1e-3, 2e-3]
    monkeypatch.setattr(module, "_rehearse", lambda *_: tuple(times))
    return times


def test_onnxruntime_says_what_torch_says(faster: list[float]) -> None:
    torch.manual_seed(0)
    net = MODELS.get("eegnet")(SPEC)
    live, torchs = scored(net, runtime="auto"), scored(net)
    assert (live.chosen.runtime, torchs.chosen.runtime) == ("onnx", "torch")
    assert "1 ms a window in onnxruntime, 2 ms in torch" in live.chosen.words
    both = [[scorer.window(x)[0] for x in X] for scorer in (live, torchs)]
    np.testing.assert_allclose(*both, atol=2 * SAME, rtol=0)


def test_the_slower_one_is_not_taken(faster: list[float]) -> None:
    faster[:] = [2e-3, 1e-3]
    assert scored(small(), runtime="auto").chosen.runtime == "torch"
    assert scored(small(), runtime="onnx").chosen.runtime == "onnx"


def test_a_rehearsal_measures_both_and_leaves_the_threads_of_torch() -> None:
    torch.set_num_threads(2)
    try:
        chosen = scored(small(), runtime="auto").chosen
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert "ms a window in onnxruntime" in chosen.words
    assert "ms in torch" in chosen.words


class Steep(nn.Module):
    """Makes much of little: what rounding changes is seen."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([1e3 * x.mean(dim=(1, 2)), 0 * x[:, 0, 0]], dim=1)


def test_a_net_that_makes_much_of_rounding_stays_with_torch(faster: list[float]) -> None:
    chosen = scored(Steep(), runtime="auto").chosen
    assert chosen.runtime == "torch"
    assert "probabilities in onnxruntime differ by" in chosen.words


class Turns(nn.Module):
    """Does with each window what its first sample says."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, :2] if float(x[0, 0, 0]) > 0 else -x[:, 0, :2]


def test_a_net_that_has_no_graph_stays_with_torch() -> None:
    chosen = scored(Turns(), runtime="auto").chosen
    assert chosen.runtime == "torch"
    assert "cannot be written as a graph" in chosen.words
    with pytest.raises(ConfigError, match="cannot be written as a graph"):
        scored(Turns(), runtime="onnx")


def test_a_spiking_net_stays_with_torch_and_is_not_rehearsed() -> None:
    net = MODELS.get("spiking_eegnet")(SPEC, time="window", n_steps=4)
    assert "because it spikes" in scored(net, runtime="auto").chosen.words


def test_a_kept_graph_is_taken_and_an_unfit_one_made_again(
    tmp_path: Path, faster: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, made = tmp_path / "key.onnx", []
    own = module.write_onnx
    monkeypatch.setattr(module, "write_onnx", lambda *a: made.append(a) or own(*a))
    net = small()
    scored(net, runtime="auto", kept=kept)
    first = kept.read_bytes()
    scored(net, runtime="auto", kept=kept)
    assert len(made) == 1
    assert facts_of(open_onnx(kept))["torch"] == torch.__version__
    kept.write_bytes(b"no graph")
    assert scored(net, runtime="auto", kept=kept).chosen.runtime == "onnx"
    with torch.no_grad():
        net.weigh.bias.add_(1)  # other weights than those of the file
    assert scored(net, runtime="auto", kept=kept).chosen.runtime == "onnx"
    assert len(made) == 3
    assert kept.read_bytes() != first
    assert [p.name for p in tmp_path.iterdir()] == ["key.onnx"]


def test_a_folder_that_takes_no_file_does_not_stop_it(tmp_path: Path, faster: list[float]) -> None:
    kept = tmp_path / "gone" / "key.onnx"
    assert scored(small(), runtime="auto", kept=kept).chosen.runtime == "onnx"
