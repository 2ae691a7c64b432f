import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError, FitError, UnknownName
from neurodecode.core.options import check_options, keywords
from neurodecode.training.batches import Batches
from neurodecode.training.decoder import _Factor
from neurodecode.training.net import choose_device, fit_net


class Power(nn.Module):
    """Log power of each channel, read out linearly."""

    def __init__(self, n_chans: int = 2, n_outputs: int = 2) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.readout = nn.Linear(n_chans, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.readout(self.dropout(x.square().mean(dim=2).log()))
        return logits


def make_net(seed: int = 0) -> Power:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Power()


def windows(n: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).standard_normal((n, 2, 50)).astype(np.float32)
    y = np.arange(n) % 2
    x[y == 1, 0] *= 2
    return x, y


def weights(net: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in net.parameters()]


def test_learns_and_says_how() -> None:
    net = make_net()
    history = fit_net(net, *windows(), *windows(40, seed=1), epochs=30, lr=0.05)
    assert history["val_accuracy"][-1] > 0.9
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert not net.training
    assert history["best_epoch"] == [1.0 + np.argmin(history["val_loss"])]


def test_same_seed_same_weights_whatever_came_before() -> None:
    nets = [make_net(), make_net(), make_net()]
    choices = {"epochs": 3, "augment": ["gaussian_noise", "mixup", "ft_surrogate"]}
    fit_net(nets[0], *windows(), seed=5, **choices)
    torch.rand(7)
    fit_net(nets[1], *windows(), seed=5, **choices)
    fit_net(nets[2], *windows(), seed=6, **choices)
    for a, b, c in zip(*map(weights, nets), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_the_callers_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    fit_net(make_net(), *windows(), epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_best_weights_are_kept_not_the_last() -> None:
    """Validation labels are wrong, so every step makes it worse: the first epoch is the best."""
    x, y = windows(40, seed=1)
    short, long = make_net(), make_net()
    first = fit_net(short, *windows(), x, 1 - y, epochs=1, lr=0.05, schedule="constant")
    history = fit_net(
        long, *windows(), x, 1 - y, epochs=20, lr=0.05, patience=4, schedule="constant"
    )
    assert history["best_epoch"] == [1.0]
    assert len(history["val_loss"]) == 5  # the best, and four without a better one
    assert history["val_loss"][0] == pytest.approx(first["val_loss"][0])
    for a, b in zip(weights(short), weights(long), strict=True):
        assert torch.equal(a, b)


def test_validation_labels_do_not_reach_the_weights() -> None:
    """They may choose the epoch; where there is one epoch, nothing."""
    x, y = windows(40, seed=1)
    nets = [make_net(), make_net()]
    fit_net(nets[0], *windows(), x, y, epochs=1)
    fit_net(nets[1], *windows(), x, 1 - y, epochs=1)
    for a, b in zip(*map(weights, nets), strict=True):
        assert torch.equal(a, b)


def test_without_validation_the_last_epoch_stands() -> None:
    history = fit_net(make_net(), *windows(), epochs=3, patience=1)
    assert history["best_epoch"] == [3.0]
    assert history["val_loss"] == []


def test_balanced_classes_count_alike() -> None:
    """90 windows of one class and 10 of the other, told apart by nothing: an even bet is best."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 2, 50)).astype(np.float32)
    y = (np.arange(100) >= 90).astype(int)
    chances = []
    for class_weights in ("balanced", "none"):
        net = make_net()
        fit_net(net, x, y, epochs=40, lr=0.05, class_weights=class_weights)
        with torch.inference_mode():
            chances.append(net(torch.from_numpy(x)).softmax(dim=1)[:, 1].mean().item())
    assert chances[0] == pytest.approx(0.5, abs=0.1)
    assert chances[1] == pytest.approx(0.1, abs=0.07)


def test_a_loss_that_is_not_a_number_says_what_to_do() -> None:
    x, y = windows()
    x[3] = np.inf
    with pytest.raises(FitError, match=r"The loss became \w+ in epoch 1. Lower train.lr"):
        fit_net(make_net(), x, y, epochs=2)


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "constant"])
def test_every_schedule_trains(schedule: str) -> None:
    history = fit_net(
        make_net(), *windows(), epochs=2, schedule=schedule, warmup=0.5, label_smoothing=0.1
    )
    assert all(math.isfinite(v) for v in history["train_loss"])


def test_warm_up_rises_and_cosine_falls_to_zero() -> None:
    factor = _Factor(100, 0.1, cosine=True)
    rates = [factor(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1
    assert rates[100] == pytest.approx(0)
    assert rates[55] == pytest.approx(0.5)


def test_half_precision_trains_too() -> None:
    history = fit_net(make_net(), *windows(), epochs=1, precision="bf16")
    assert math.isfinite(history["train_loss"][0])


def test_it_prints_nothing_and_leaves_no_files(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        fit_net(make_net(), *windows(), *windows(10), epochs=1)
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_ctrl_c() -> None:
    class Interrupted(Power):
        def forward(self, x: Tensor) -> Tensor:
            if self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt):
        fit_net(Interrupted(), *windows(), epochs=1)


def test_options_of_a_pipeline_file_are_its_keywords() -> None:
    assert {"epochs", "lr", "augment", "device"} <= set(keywords(fit_net))
    assert "seed" not in keywords(fit_net)
    check_options(fit_net, {"lr": 1e-3, "augment": {"mixup": {}}}, where="[train]")
    check_options(fit_net, {"augment": ["mixup"]}, where="[train]")
    with pytest.raises(UnknownName, match="'epoch'. Did you mean 'epochs'"):
        check_options(fit_net, {"epoch": 3}, where="[train]")
    with pytest.raises(ConfigError, match="one of 'cosine', 'onecycle', 'constant'"):
        check_options(fit_net, {"schedule": "linear"}, where="[train]")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="device='abacus' cannot be used here"):
        choose_device("abacus")
    with pytest.raises(ConfigError, match="train.epochs = 0 must be at least 1"):
        fit_net(make_net(), *windows(), epochs=0)


@pytest.mark.parametrize(("n", "size"), [(10, 32), (33, 32), (100, 32), (64, 32)])
def test_batches_hold_every_window_once_and_are_of_a_size(n: int, size: int) -> None:
    x = torch.arange(n).float()
    batches = Batches(x, x.long(), size, torch.Generator().manual_seed(0))
    first, second = ([b for b, _ in batches] for _ in range(2))
    assert len(batches) == len(first)
    assert torch.equal(torch.cat(first).sort().values, x)
    assert max(map(len, first)) - min(map(len, first)) <= 1
    assert not torch.equal(torch.cat(first), torch.cat(second))
