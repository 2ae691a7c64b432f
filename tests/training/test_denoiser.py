import numpy as np
import pytest
import torch

from neurodecode.artifacts.bank import Bank, Recipe, draw
from neurodecode.evaluation.denoisers import build_denoiser, measure_net, split_three
from neurodecode.models import DENOISERS
from neurodecode.training.denoise import fit_denoiser
from neurodecode.training.denoiser import DenoiserModule, as_tensors

RECIPE = Recipe(
    convention="power", snr=(-5.0, 0.0), shares={"none": 1.0, "eog": 2.0}, n_chans=(4, 6)
)
SMALL = {"atat": {"width": 16, "depth": 1}, "art": {"width": 32, "depth": 1}, "tinyconv": {}}


@pytest.mark.parametrize("name", DENOISERS.names())
def test_an_untrained_net_changes_nothing(noise_bank: Bank, name: str) -> None:
    noisy, _, directions = as_tensors(draw(noise_bank, RECIPE, 2, np.random.default_rng(0)))
    net = build_denoiser(name, SMALL[name]).eval()
    assert torch.allclose(net(noisy, directions), noisy, atol=1e-6)


@pytest.mark.parametrize("name", DENOISERS.names())
def test_the_net_never_sees_the_clean_window(
    noise_bank: Bank, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noisy, clean, directions = as_tensors(draw(noise_bank, RECIPE, 2, np.random.default_rng(0)))
    net = build_denoiser(name, SMALL[name])
    with torch.no_grad():
        for parameter in net.parameters():  # no longer the identity
            parameter.add_(0.05 * torch.randn(parameter.shape))
    shown = []
    forward = net.forward

    def watched(*args: torch.Tensor) -> torch.Tensor:
        out = forward(*args)
        shown.append((args, out.detach()))
        return out

    monkeypatch.setattr(net, "forward", watched)
    module = DenoiserModule(net, lr=1e-3, weight_decay=0.0, n_steps=1)
    losses = [module.training_step((noisy, other, directions), 0) for other in (clean, 7 * clean)]
    assert losses[0] != losses[1]
    (first, one), (second, two) = shown
    assert torch.equal(one, two)
    for args in (first, second):
        assert [a is b for a, b in zip(args, (noisy, directions), strict=True)] == [True, True]


def test_a_few_steps_lower_the_error_on_people_it_has_not_met(noise_bank: Bank) -> None:
    parts = split_three(noise_bank)
    net = build_denoiser("tinyconv", {})
    how = {"snr": (-5.0,), "n_windows": 4}
    before, _ = measure_net(net, parts.test, RECIPE, **how)
    history = fit_denoiser(
        net, parts.train, parts.validation, RECIPE, steps=60, batch_size=32, validate_every=20
    )
    after, _ = measure_net(net, parts.test, RECIPE, **how)
    assert len(history["val_rrmse"]) == 3
    eyes = after["kind"] == "eog"
    assert after["rrmse"][eyes].mean() < 0.8 * before["rrmse"][eyes].mean()
    assert np.array_equal(after["rrmse_before"], before["rrmse"])  # the same windows


def test_the_same_seed_gives_the_same_weights(noise_bank: Bank) -> None:
    parts, weights = split_three(noise_bank), []
    for seed in (3, 3, 4):
        torch.manual_seed(len(weights))  # what was drawn before does not matter
        net = build_denoiser("atat", SMALL["atat"], seed=seed)
        options = {"steps": 2, "batch_size": 8, "validate_every": 2}
        fit_denoiser(net, parts.train, parts.validation, RECIPE, seed, **options)
        weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_best_weights_are_kept(noise_bank: Bank) -> None:
    parts = split_three(noise_bank)
    net = build_denoiser("tinyconv", {})
    options = {"steps": 6, "batch_size": 8, "validate_every": 2, "lr": 3.0}
    history = fit_denoiser(net, parts.train, parts.validation, RECIPE, **options)
    assert np.argmin(history["val_rrmse"]) == 0  # such a learning rate only does harm
    worst = max(history["val_rrmse"])
    table, _ = measure_net(net, parts.validation, RECIPE, snr=(-5.0,), n_windows=4)
    assert table["rrmse"].mean() < worst
