"""A recorded net answers as the net, or is not used."""

import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.online.frozen import frozen

SPEC = TaskSpec(ch_names=("C3", "Cz", "C4", "Pz"), n_times=256, sfreq=128.0, n_outputs=2)
SHAPE = (1, 4, 256)


@pytest.mark.parametrize(
    "name",
    ["dbconformer", "spiking_dbconformer", "spikformer_eeg", "mvpformer", "braindecode:EEGNeX"],
)
def test_it_answers_as_the_net(name: str) -> None:
    torch.manual_seed(0)
    net = MODELS.get(name)(SPEC).eval()
    ask, x = frozen(net, SHAPE), torch.randn(SHAPE)
    with torch.inference_mode():
        torch.testing.assert_close(ask(x), net(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["dbconformer", "braindecode:EEGNeX"])
def test_it_is_recorded(name: str) -> None:
    assert isinstance(frozen(MODELS.get(name)(SPEC), SHAPE), torch.jit.ScriptModule)


class Turns(nn.Module):
    """Does with each window what its first sample says."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2))
        return torch.stack([mean, -mean], dim=1) if float(x[0, 0, 0]) > 0 else 0 * x[:, 0, :2]


def test_a_net_that_decides_in_python_is_asked_itself() -> None:
    net = Turns()
    assert frozen(net, SHAPE) is net
