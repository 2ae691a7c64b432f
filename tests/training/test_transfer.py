"""Probe, adapters and fine-tuning: what moves, what stays, and who chooses."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError, FitError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.nn.foundation import Backbone, FoundationDecoder
from neurodecode.training.estimator import Decoder
from neurodecode.training.net import Lesson
from neurodecode.training.transfer import fit_probe, fit_transfer

TRAIN = {"epochs": 2, "device": "cpu"}
CPU = torch.device("cpu")


class Spectra(Backbone):
    """Tokens are a nonlinear function of each segment."""

    sfreq, n_segment, width, lora_targets = 64.0, 32, 16, ("out",)

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(self.n_segment, self.width)
        self.out = nn.Linear(self.width, self.width, bias=False)

    def forward(
        self, x: Tensor, present: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor:
        tokens: Tensor = self.out(self.into(self.segments(x) / 20).square())
        return tokens if present is None else tokens * present[:, None, :, None]


SPEC = TaskSpec(ch_names=("C3", "C4"), n_times=128, sfreq=64.0, n_outputs=2)


def data(n: int = 80) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Two classes of different power."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = rng.standard_normal((n, 2, 128)) * (10 + 15 * y)[:, None, None]
    return x.astype(np.float32), y.astype(np.int64)


def net() -> FoundationDecoder:
    torch.manual_seed(0)
    return FoundationDecoder(Spectra(), SPEC)


def state(module: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in module.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize("mode", ["probe", "random"])
def test_a_probe_leaves_the_backbone_alone(mode: str) -> None:
    x, y = data()
    decoder = net()
    before = state(decoder.backbone)
    sides = Lesson(x[:60], y[:60], x[60:], y[60:], 0)
    history, n_params = fit_transfer(decoder, mode, sides, TRAIN)
    assert same(before, state(decoder.backbone))
    assert n_params == 2 * 16 + 2
    with torch.inference_mode():
        accuracy = (decoder(torch.from_numpy(x)).argmax(dim=1).numpy() == y).mean()
    assert accuracy > 0.9
    assert history["val_loss"][0] < 0.5


def test_a_probe_is_a_logistic_regression() -> None:
    x, y = data()
    decoder = net()
    fit_probe(decoder, x[:60], y[:60], x[60:], y[60:], CPU, final=False)
    with torch.inference_mode():
        logits = decoder(torch.from_numpy(x[:60]))
        p = logits.softmax(dim=1)[:, 1].numpy()
    # Of a fitted logistic regression, the mean probability is the share of the class.
    assert p.mean() == pytest.approx(y[:60].mean(), abs=1e-3)


def test_the_strength_is_chosen_by_held_out_windows() -> None:
    x, y = data()
    noise = np.random.default_rng(1).permutation(y[60:])
    taught, misled = net(), net()
    good = fit_probe(taught, x[:60], y[:60], x[60:], y[60:], CPU, final=False)
    bad = fit_probe(misled, x[:60], y[:60], x[60:], noise, CPU, final=False)
    assert bad["inverse_penalty"][0] < good["inverse_penalty"][0]


def test_adapters_are_merged_and_small() -> None:
    x, y = data()
    decoder = net()
    names, before = set(decoder.state_dict()), state(decoder.backbone)
    _, n_params = fit_transfer(
        decoder, "lora", Lesson(x[:60], y[:60], x[60:], y[60:], 0), TRAIN, rank=2, alpha=4.0
    )
    assert set(decoder.state_dict()) == names
    after = state(decoder.backbone)
    assert torch.equal(before["into.weight"], after["into.weight"])
    change = after["out.weight"] - before["out.weight"]
    assert change.abs().max() > 0
    assert torch.linalg.matrix_rank(change, tol=1e-5) <= 2
    assert n_params == 2 * (16 + 16) + 34


def test_fine_tuning_moves_everything() -> None:
    x, y = data()
    decoder = net()
    before = state(decoder.backbone)
    sides = Lesson(x[:60], y[:60], x[60:], y[60:], 0)
    _, n_params = fit_transfer(decoder, "finetune", sides, TRAIN)
    after = state(decoder.backbone)
    assert all(not torch.equal(before[k], after[k]) for k in before)
    assert n_params == sum(p.numel() for p in decoder.parameters())


def test_modes_are_for_backbones() -> None:
    x, y = data()
    with pytest.raises(ConfigError, match="only decoders with a backbone have modes"):
        Decoder("dbconformer+probe", sfreq=64.0, train=TRAIN).fit(x, y)


def test_absent_channels_are_refused_by_most() -> None:
    x, y = data()
    x[:40, 1] = np.nan
    with pytest.raises(FitError, match=r"the same channels in every window, .* 1 to 2"):
        Decoder("dbconformer", sfreq=64.0, train=TRAIN).fit(x, y)
    x[3, 0, 5] = np.nan
    with pytest.raises(FitError, match="1 of 80 windows hold values that are infinite"):
        Decoder("dbconformer", sfreq=64.0, train=TRAIN).fit(x, y)


def test_a_window_without_channels_is_refused() -> None:
    x, y = data()
    x[5] = np.nan
    with pytest.raises((SignalError, FitError)):
        Decoder("dbconformer", sfreq=64.0, train=TRAIN).fit(x, y)
