"""Statistics of windows: planted rhythms, absent channels, missing bands."""

import time
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from neurodecode.signal.connectivity import Connectivity
from neurodecode.signal.neurodynamics import statistic_names, statistics

SFREQ = 200.0


def noise(n_windows: int = 2, n_chans: int = 6, seconds: float = 4) -> NDArray[np.float64]:
    rng = np.random.default_rng(0)
    return np.asarray(rng.standard_normal((n_windows, n_chans, round(seconds * SFREQ))))


def named(x: NDArray[np.float64], sfreq: float = SFREQ, **options: Any) -> dict[str, Any]:
    values, names = statistics(x, sfreq, **options)
    assert values.shape == (len(x), len(names))
    return dict(zip(names, values.T, strict=True))


def test_there_are_nineteen_with_coupling() -> None:
    assert len(statistic_names(coupling="vector")) == 19
    assert len(statistic_names()) == 16
    assert len(set(statistic_names(coupling="vector"))) == 19
    found = named(noise(), coupling="vector")
    assert all(np.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize("connectivity", [*get_args(Connectivity), None])
@pytest.mark.parametrize("entropy", [True, False])
def test_names_are_those_of_the_values(connectivity: Any, entropy: bool) -> None:
    options = {"connectivity": connectivity, "entropy": entropy}
    assert tuple(named(noise(), **options)) == statistic_names(**options)


def test_a_common_rhythm_is_locked_and_strong() -> None:
    x = noise()
    t = np.arange(x.shape[2]) / SFREQ
    x[1] += 3 * np.sin(2 * np.pi * 10 * t)
    found = named(x)
    assert found["power.alpha"][1] > 0.5 > found["power.alpha"][0]
    assert found["plv.alpha.mean"][1] > 0.8
    assert found["plv.beta.mean"][1] < 0.3
    assert found["entropy"][1] < found["entropy"][0]
    assert sum(found[name] for name in found if name.startswith("power")) == pytest.approx(1)


def test_lag_is_told_from_volume_conduction() -> None:
    """One rhythm at all electrodes at once, or wandering over them."""
    t = np.arange(800) / SFREQ
    angles = np.array([0.0, 1.0])[:, None, None] * np.arange(6)[:, None]
    x = 0.3 * noise() + np.sin(2 * np.pi * 10 * t - angles)
    plv = named(x)["plv.alpha.mean"]
    assert plv.min() > 0.9
    for measure in ("wpli", "imaginary_coherence"):
        at_once, wandering = named(x, connectivity=measure)[f"{measure}.alpha.mean"]
        assert wandering > at_once + 0.2


def test_absent_and_flat_channels_are_left_out() -> None:
    x = noise(3)
    more = np.full((3, 9, x.shape[2]), np.nan)
    more[:, :6] = x
    more[1, 6:8] = 4.0
    np.testing.assert_allclose(
        statistics(more, SFREQ, coupling="vector")[0],
        statistics(x, SFREQ, coupling="vector")[0],
        rtol=1e-5,
    )


def test_each_window_has_its_own_channels() -> None:
    x = noise(2)
    x[1, 3:] = np.nan
    alone, _ = statistics(x[1:, :3], SFREQ)
    np.testing.assert_allclose(statistics(x, SFREQ)[0][1:], alone, rtol=1e-5)


def test_order_of_channels_does_not_matter() -> None:
    x = noise()
    np.testing.assert_allclose(statistics(x[:, ::-1], SFREQ)[0], statistics(x, SFREQ)[0], rtol=1e-4)


@pytest.mark.parametrize(("sfreq", "highest"), [(SFREQ, 45.0), (128.0, None)])
def test_gamma_is_missing_where_it_was_filtered_out(sfreq: float, highest: float | None) -> None:
    found = named(noise(), sfreq, highest=highest, coupling="cosine")
    missing = {name for name, value in found.items() if np.isnan(value).any()}
    gamma = {"power.gamma", "plv.gamma.mean", "plv.gamma.sd"}
    coupled = {"coupling.theta-high_gamma", "coupling.alpha-gamma"}
    low = {"coupling.theta-low_gamma"} if highest == 45.0 else set()
    assert missing == gamma | coupled | low


def test_one_channel_has_no_pairs() -> None:
    found = named(noise(n_chans=1))
    missing = {name for name, value in found.items() if np.isnan(value).all()}
    assert missing == {name for name in found if name.startswith("plv")}


def test_one_pair_has_no_spread() -> None:
    found = named(noise(n_chans=2))
    missing = {name for name, value in found.items() if np.isnan(value).all()}
    assert missing == {name for name in found if name.endswith(".sd")}


def test_a_window_without_channels_has_nothing() -> None:
    x = noise()
    x[0] = np.nan
    values, _ = statistics(x, SFREQ)
    assert np.isnan(values[0]).all()
    assert np.isfinite(values[1]).all()


def test_short_windows_lack_slow_bands_and_nothing_breaks() -> None:
    found = named(noise(seconds=0.3))
    assert np.isnan(found["plv.delta.mean"]).all()
    assert np.isfinite(found["power.beta"]).all()


def test_it_is_cheap() -> None:
    x = np.random.default_rng(0).standard_normal((8, 64, 1024)).astype(np.float32)
    statistics(x[:1], 128.0)
    start = time.process_time()
    statistics(x, 128.0)
    assert time.process_time() - start < 1.0  # 0.12 s
