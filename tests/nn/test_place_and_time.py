"""Codes of place and time: how far smoothing reaches, and what moves when a channel is dropped."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.nn.place_and_time import (
    HEAD,
    TimeCode,
    VolumeConductionCode,
    cap_points,
    smooth_positions,
)


def on_head(n: int = 64, seed: int = 0) -> Tensor:
    """Random places on a sphere of 9.5 cm."""
    draw = torch.Generator().manual_seed(seed)
    away = torch.randn(n, 3, generator=draw)
    return 0.095 * torch.nn.functional.normalize(away, dim=1)


def code(**options: Any) -> VolumeConductionCode:
    torch.manual_seed(0)
    return VolumeConductionCode(8, **{"reference": "montage", "tau": 0.03, **options})


@pytest.mark.parametrize(
    ("tau", "neighbours", "radius"),
    [(0.02, 4.2, 0.088), (0.04, 16.7, 0.063), (0.08, 42.6, 0.036), (0.30, 62.3, 0.014)],
)
def test_reach_of_smoothing(tau: float, neighbours: float, radius: float) -> None:
    """64 random places: effective neighbours, 1 over the sum of squared weights; mean radius."""
    counts, radii = [], []
    for seed in range(20):
        p = on_head(seed=seed)[None]
        kernel = (-torch.cdist(p, p) / tau).softmax(dim=-1)
        counts.append((1 / kernel.square().sum(dim=-1)).mean())
        radii.append(smooth_positions(p, p, tau).norm(dim=-1).mean())
    assert float(torch.stack(counts).mean()) == pytest.approx(neighbours, rel=0.02)
    assert float(torch.stack(radii).mean()) == pytest.approx(radius, abs=0.001)


def test_smoothing_is_the_published_mean() -> None:
    p, tau = on_head(5), 0.03
    kernel = torch.tensor([[math.exp(-float((a - b).norm()) / tau) for b in p] for a in p])
    expected = kernel / kernel.sum(dim=1, keepdim=True) @ p
    torch.testing.assert_close(smooth_positions(p[None], p[None], tau)[0], expected)


def test_dropping_a_channel_moves_the_others_on_a_montage_and_not_on_a_template() -> None:
    p = on_head(32)[None]
    there = torch.ones(1, 32, dtype=torch.bool)
    fewer = there.clone()
    fewer[0, 5] = False
    kept = fewer[0]
    montage, template = code(reference="montage"), code(reference="template")
    moved = (montage.smooth(p, there) - montage.smooth(p, fewer))[0, kept].norm(dim=-1)
    assert float(moved.detach().max()) > 0.001
    torch.testing.assert_close(template(p, there)[0, kept], template(p, fewer)[0, kept])
    torch.testing.assert_close(template(p[:, kept], there[:, kept])[0], template(p, there)[0, kept])


@pytest.mark.parametrize("reference", ["montage", "template"])
def test_left_and_right_stay_apart(reference: str) -> None:
    hands = torch.tensor([[[-0.065, 0.0, 0.09], [0.065, 0.0, 0.09]]])
    smoothed = code(reference=reference).smooth(hands, torch.ones(1, 2, dtype=torch.bool)).detach()
    assert float(smoothed[0, 1, 0] - smoothed[0, 0, 0]) > 0.05


def test_an_absent_channel_smooths_no_other() -> None:
    p = on_head(6)[None]
    there = torch.tensor([[True] * 4 + [False] * 2])
    torch.testing.assert_close(code()(p, there)[:, :4], code()(p[:, :4], there[:, :4]))


def test_unknown_places_share_a_code_and_smooth_no_other() -> None:
    p = on_head(6)[None]
    p[0, 4:] = torch.nan
    there = torch.ones(1, 6, dtype=torch.bool)
    net = code()
    codes = net(p, there)
    torch.testing.assert_close(codes[:, :4], net(p[:, :4], there[:, :4]))
    torch.testing.assert_close(codes[0, 4], net.unknown)
    torch.testing.assert_close(codes[0, 5], net.unknown)
    nowhere = net(torch.full((1, 3, 3), torch.nan), there[:, :3])
    assert nowhere.isfinite().all()
    nowhere.sum().backward()
    assert net.alpha.grad is None or net.alpha.grad.isfinite()


def test_tau_is_learned_and_stays_between_1_and_6_cm() -> None:
    net = code(tau=0.03)
    assert float(net.tau.detach()) == pytest.approx(0.03, abs=1e-4)
    net(on_head(8)[None], torch.ones(1, 8, dtype=torch.bool)).square().sum().backward()
    assert net.alpha.grad is not None
    assert float(net.alpha.grad.abs()) > 0
    with torch.no_grad():
        net.alpha.fill_(3.0)
    assert float(net.tau.detach()) == pytest.approx(0.06)
    with pytest.raises(ConfigError, match=r"tau = 0\.08 is a length in metres"):
        code(tau=0.08)


def test_points_of_the_template_lie_on_a_cap() -> None:
    points, (centre, radius) = cap_points(256), HEAD
    away = points - torch.tensor(centre)
    torch.testing.assert_close(away.norm(dim=1), torch.full((256,), radius), rtol=1e-4, atol=0)
    nearest = torch.cdist(points, points).fill_diagonal_(1.0).min(dim=1).values
    assert 0.005 < float(nearest.min()) < float(nearest.max()) < 0.02


@pytest.mark.parametrize("segment", [1.0, 0.5, 2.0, 5.0])
def test_no_feature_of_time_is_zero_at_every_patch(segment: float) -> None:
    """At whole seconds the sine of 0.5 Hz is; at their centres its cosine would be."""
    features = TimeCode(8).features((torch.arange(16) + 0.5) * segment)
    assert features.shape == (16, 2 * 8 + 4)
    assert float(features.abs().max(dim=0).values.min()) > 0.01
    assert float(features.std(dim=0).min()) > 1e-3


def test_time_code_is_that_of_the_equations() -> None:
    net = TimeCode(8)
    t = torch.tensor([0.5, 7.25])
    f, tau = net.frequencies, net.decays
    assert 0.01 < float(f.min()) < float(f.max()) < 0.5
    assert 1 < float(tau.min()) < float(tau.max()) < 100
    for row, s in zip(net.features(t), t, strict=True):
        expected = [(2 * math.pi * f * s).sin(), (2 * math.pi * f * s).cos(), (-s / tau).exp()]
        torch.testing.assert_close(row, torch.cat(expected))


def test_moments_are_told_apart() -> None:
    features = TimeCode(8).features(torch.arange(30) + 0.5)
    apart = torch.cdist(features, features) + torch.eye(30)
    assert float(apart.min()) > 0.05
