"""What every net owes, and what every classical decoder owes, whatever is inside."""

import numpy as np
import pytest
import torch

from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS

CH_NAMES = ("C3", "Cz", "C4", "Pz")
SPEC = TaskSpec(ch_names=CH_NAMES, n_times=256, sfreq=128.0, n_outputs=2)
MODULES = {name: MODELS.find(name).module.rsplit(".", 1)[1] for name in MODELS.names()}
FAMILIES = {"braindecode"}  # many models, tested by their own file
NAMES = sorted(set(MODULES) - FAMILIES)
NETS = [n for n in NAMES if isinstance(MODELS.get(n)(SPEC), torch.nn.Module)]
CLASSICAL = sorted(set(NAMES) - set(NETS))
IDLE = {
    # It shifts all scores of a softmax alike: part of the published count, never moved.
    "dbconformer": "channel_score.2.bias",
    # braindecode keeps the branches' own heads, for a loss that it leaves to the user.
    "msvtnet": "branch_head.",
    # The windows of these tests have no positions.
    "deeperbrain": "backbone.channel_code.",
}


def windows(n: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes that differ in the power of one channel."""
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(n, SPEC.n_chans, SPEC.n_times, generator=draw), torch.arange(n) % 2
    x[y == 1, 0] *= 4
    return x, y


@pytest.fixture(params=NETS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def net(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = MODELS.get(name)(SPEC)
    return model


def test_there_are_models() -> None:
    assert {"dbconformer", "eegnet"} <= set(NETS)
    assert {"csp_lda", "ts_lr"} <= set(CLASSICAL)


@pytest.mark.parametrize("name", NAMES)
def test_summary_is_a_line(name: str) -> None:
    assert MODELS.summary(name).endswith((".", "?"))


def test_logits_are_finite_and_one_for_each_class(net: torch.nn.Module) -> None:
    logits = net.eval()(windows(3)[0])
    assert logits.shape == (3, SPEC.n_outputs)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_a_window_is_scored_alike_alone_and_in_a_batch(net: torch.nn.Module) -> None:
    net.eval()
    x, _ = windows(5)
    torch.testing.assert_close(net(x[:1]), net(x)[:1], atol=1e-4, rtol=1e-4)


def test_every_parameter_is_reached_by_the_gradient(net: torch.nn.Module, name: str) -> None:
    x, y = windows(8)
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    torch.nn.functional.cross_entropy(net(x), y).backward()
    parameters = {n: p for n, p in net.named_parameters() if p.requires_grad}
    idle = {n for n, p in parameters.items() if p.grad is None or not p.grad.any()}
    assert {n for n in idle if not n.startswith(IDLE.get(name, "none"))} == set()


def test_learns_a_difference_in_power(net: torch.nn.Module) -> None:
    x, y = windows()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for step in range(1, 101):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()
        if step % 5 == 0:
            if (net.eval()(x).argmax(1) == y).float().mean() > 0.8:
                return
            net.train()
    pytest.fail("100 steps were not enough")


@pytest.mark.parametrize("name", CLASSICAL)
def test_classical_decoders_learn_a_difference_in_power(name: str) -> None:
    model = MODELS.get(name)(SPEC)
    x, y = (part.numpy() for part in windows(40))
    x = x.astype(np.float64)
    proba = model.fit(x[:30], y[:30]).predict_proba(x[30:])
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba.argmax(axis=1) == y[30:]).mean() > 0.8
