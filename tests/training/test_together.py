"""Nets trained in one pass are those that are trained one by one, but for rounding and dropout."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import FitError
from neurodecode.core.spec import TaskSpec
from neurodecode.epochs.view import View
from neurodecode.models import MODELS
from neurodecode.training import together
from neurodecode.training.net import Lesson, fit_net
from neurodecode.training.together import Stacked, can_train_together, fit_together

SPEC = TaskSpec(
    ch_names=("C3", "Cz", "C4", "Pz"),
    n_times=200,
    sfreq=100.0,
    n_outputs=2,
    positions=((-0.07, 0.0, 0.07), (0.0, 0.0, 0.1), (0.07, 0.0, 0.07), (0.0, -0.07, 0.08)),
)
WITHOUT_DROPOUT: dict[str, dict[str, Any]] = {
    "dbconformer": {"dropout": 0.0, "head_dropout": (0.0, 0.0), "depth": 1},
    "eegnet": {"drop_prob": 0.0},
    "shallow": {"drop_prob": 0.0},
}


class Power(nn.Module):
    """Log power of each channel, normalised by batches, read out linearly."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.readout = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.readout(self.norm(x.square().mean(dim=2).log()))
        return logits


def lesson(n: int, n_val: int, seed: int) -> Lesson:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + n_val, 4, 200)).astype(np.float32)
    y = np.arange(n + n_val) % 2
    x[y == 1, 0] *= 2
    return Lesson(x[:n], y[:n], x[n:], y[n:], seed)


def build(make: Any, n: int) -> list[nn.Module]:
    nets = []
    for seed in range(n):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nets.append(make())
    return nets


@pytest.mark.parametrize("n_val", [30, 0])
def test_each_learns_stops_and_is_kept_as_if_alone(n_val: int) -> None:
    alone = build(Power, 3)
    nets, order = copy.deepcopy(alone), []
    lessons = [lesson(64, n_val, seed) for seed in range(3)]
    train = {
        "epochs": 25, "patience": 3, "lr": 0.05, "label_smoothing": 0.1,
        "augment": ["gaussian_noise", "mixup"],
    }  # fmt: skip
    expected = [fit_net(net, *own, **train) for net, own in zip(alone, lessons, strict=True)]
    found = fit_together(nets, lessons, train, on_fitted=lambda i, history: order.append(i))
    assert sorted(order) == [0, 1, 2]
    for one, other, net, twin in zip(expected, found, alone, nets, strict=True):
        assert one["best_epoch"] == other["best_epoch"]
        for name in one:
            np.testing.assert_allclose(other[name], one[name], atol=1e-5)
        assert not twin.training
        for name, value in net.state_dict().items():
            torch.testing.assert_close(twin.state_dict()[name], value, rtol=1e-4, atol=1e-4)
    if n_val:  # one that stops leaves the others
        assert len({len(history["train_loss"]) for history in found}) > 1


def test_sides_of_other_sizes_are_filled_up_and_do_not_count() -> None:
    """Batches of 35 and of 36: a window that fills one up is seen by the batch norm alone."""
    alone = build(Power, 3)
    nets = copy.deepcopy(alone)
    lessons = [lesson(n, n_val, n) for n, n_val in ((70, 20), (72, 31), (20, 20))]
    train = {"epochs": 3, "lr": 0.02}
    expected = [fit_net(net, *own, **train) for net, own in zip(alone, lessons, strict=True)]
    found = fit_together(nets, lessons, train)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other["val_loss"], one["val_loss"], atol=0.02)
    np.testing.assert_allclose(found[1]["val_loss"], expected[1]["val_loss"], atol=1e-5)


@pytest.mark.parametrize("name", sorted(WITHOUT_DROPOUT))
def test_decoders_take_the_same_steps(name: str) -> None:
    alone = build(lambda: MODELS.get(name)(SPEC, **WITHOUT_DROPOUT[name]), 2)
    nets = copy.deepcopy(alone)
    lessons = [lesson(32, 16, seed) for seed in range(2)]
    expected = [fit_net(net, *own, epochs=2) for net, own in zip(alone, lessons, strict=True)]
    found = fit_together(nets, lessons, {"epochs": 2})
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other["train_loss"], one["train_loss"], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(other["val_loss"], one["val_loss"], rtol=5e-3, atol=5e-3)


def test_dropout_draws_for_each_net_anew() -> None:
    net = nn.Dropout(0.5)
    stacked = Stacked([net, net]).train()
    masks = stacked(torch.ones(2, 1, 4, 200))
    assert set(masks.unique().tolist()) == {0.0, 2.0}
    assert not torch.equal(masks[0], masks[1])


def test_a_loss_that_is_lost_is_said() -> None:
    bad = lesson(32, 16, 1)
    bad.x[0] = np.inf
    with pytest.raises(FitError, match=r"The loss became nan in epoch 1\. Lower train\.lr"):
        fit_together(build(Power, 2), [lesson(32, 16, 0), bad], {"epochs": 2})


def test_too_many_for_the_memory_are_trained_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, whole = [], together._fit_group

    def small(nets: Any, lessons: Any, group: Any, *rest: Any) -> None:
        sizes.append(len(group))
        if len(group) > 2:
            raise torch.OutOfMemoryError
        whole(nets, lessons, group, *rest)

    monkeypatch.setattr(together, "_fit_group", small)
    found = fit_together(build(Power, 5), [lesson(32, 16, s) for s in range(5)], {"epochs": 1})
    assert len(found) == 5
    assert sizes == [5, 3, 2, 1, 2]


def test_a_net_whose_windows_are_streamed_is_trained_alone() -> None:
    """Stacking would hold them."""
    nets, lessons = build(Power, 3), [lesson(32, 16, seed) for seed in range(3)]
    twin, held = copy.deepcopy(nets[1]), lessons[1]
    lessons[1] = held._replace(x=View(held.x, np.arange(32)))
    fit_together(nets, lessons, {"epochs": 2})
    fit_net(twin, *held, epochs=2)
    for name, value in twin.state_dict().items():
        assert torch.equal(nets[1].state_dict()[name], value)


def test_nets_that_cannot_are_told_apart() -> None:
    class Choosy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return x.mean() * self.weight if x.sum() > 0 else self.weight

    assert can_train_together(Power(), 4, 200)
    assert not can_train_together(Choosy(), 4, 200)
    assert not can_train_together(MODELS.get("spiking_eegnet")(SPEC), 4, 200)
