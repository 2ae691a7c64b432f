"""Do patterns show what goes with the margin, for every classical decoder?"""

from dataclasses import replace

import numpy as np
import pytest
from mixed_sources import N_TIMES, NAMES, NOISE, SOURCE, axes, fitted, mixed
from toy_decoders import Power, holding

from neurodecode.explain.haufe_patterns import DB, carried_back, haufe_patterns, pattern
from neurodecode.explain.windows import KINDS, Maps, Windows

OF_POWER = (
    "csp_lda", "fbcsp", "ts_lr", "fb_ts_lr", "mdm", "acm_ts_svm", "bandpower_lr",
)  # fmt: skip
ALL = (*OF_POWER, "line_length_lr", "xdawn_ts_lr")


@pytest.fixture(scope="module")
def windows() -> Windows:
    return mixed()


def explain(model: str, windows: Windows, **options: object) -> Maps:
    maps = haufe_patterns(fitted(model, windows, **options), windows)
    assert maps is not None
    return maps


@pytest.mark.parametrize("model", OF_POWER)
def test_power_goes_with_the_class_at_the_source_and_in_its_band(
    model: str, windows: Windows
) -> None:
    maps = explain(model, windows)
    chan, freq = maps.kinds["chan"], maps.kinds["freq"]
    assert chan[1].argmax() == SOURCE
    assert chan[1, SOURCE] > 0
    assert abs(chan[1, NOISE]) < 0.7 * chan[1, SOURCE]
    low, high = (8, 13) if model == "bandpower_lr" else (8, 12)
    assert low <= windows.axes.freqs[freq[1].argmax()] <= high
    assert np.unravel_index(maps.kinds["chan_freq"][1].argmax(), maps.kinds["chan_freq"][1].shape)[
        0
    ] in (SOURCE, 3)


@pytest.mark.parametrize("model", ALL)
def test_of_two_classes_each_mirrors_the_other(model: str, windows: Windows) -> None:
    maps = explain(model, windows)
    assert maps.signed
    for kind, values in maps.kinds.items():
        whole = kind in ("freq", "time") or (kind == "chan" and model == "xdawn_ts_lr")
        np.testing.assert_allclose(values[0], values[1] * (1 if whole else -1), rtol=1e-4)


@pytest.mark.parametrize("model", ALL)
def test_kinds_have_the_shape_that_they_say(model: str) -> None:
    windows = mixed(45, n_classes=3)
    maps = explain(model, windows)
    for kind, values in maps.kinds.items():
        sizes = [len(getattr(windows.axes, axis)) for axis in KINDS[kind]]
        assert values.shape == (3, *sizes)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_the_pattern_of_a_linear_model_is_its_mixing() -> None:
    """z = a s + noise, and a decoder that finds s: the pattern is a, and its filter is not."""
    rng = np.random.default_rng(0)
    n = 20000
    source, disturbance = rng.standard_normal((2, n))
    z = np.stack([source + disturbance, disturbance], axis=1)
    margin = z @ np.array([1.0, -1.0])  # cancels the disturbance
    found = pattern(z, margin[:, None])[0]
    np.testing.assert_allclose(found, [1, 0], atol=0.03)


def test_a_margin_that_never_moves_has_no_pattern() -> None:
    z = np.random.default_rng(0).standard_normal((10, 3))
    assert not pattern(z, np.ones((10, 2))).any()


def test_a_tangent_vector_is_the_change_of_covariances_that_it_stands_for() -> None:
    from pyriemann.geometry.tangentspace import tangent_space

    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((4, 12))
    mean = mixing @ mixing.T
    change = rng.standard_normal((4, 4)) * 1e-5
    change = change + change.T
    back = carried_back(tangent_space((mean + change)[None], mean), mean)[0]
    scale = np.sqrt(np.diag(mean))
    np.testing.assert_allclose(back, DB * change / np.outer(scale, scale), rtol=1e-3, atol=1e-9)


def test_the_covariances_of_channels_that_share_a_source_change_with_it(windows: Windows) -> None:
    change = explain("ts_lr", windows).kinds["chan_chan"][1]
    np.testing.assert_allclose(change, change.T, atol=1e-5)
    off = change - np.diag(np.diag(change))
    assert set(np.unravel_index(off.argmax(), off.shape)) == {SOURCE, 3}


def test_other_geometries_show_the_power_of_channels(windows: Windows) -> None:
    maps = explain("ts_lr", windows, metric="logeuclid")
    assert maps.kinds["chan"][1].argmax() == SOURCE
    assert "chan_chan" not in maps.kinds


def responses(n: int = 60) -> Windows:
    """A deflection at 0.5 s in C3, in class 1 only."""
    rng = np.random.default_rng(0)
    x = 5 * rng.standard_normal((2 * n, len(NAMES), N_TIMES))
    y = np.arange(2 * n) % 2
    x[y == 1, SOURCE, 45:56] += 10
    x = x.astype(np.float32)
    return Windows(x=x[n:], y=y[n:], x_train=x[:n], y_train=y[:n], axes=axes())


def test_a_response_is_found_where_and_when_it_comes() -> None:
    windows = responses()
    maps = explain("xdawn_ts_lr", windows)
    chan, time = np.unravel_index(maps.kinds["chan_time"][1].argmax(), (6, 16))
    assert chan == SOURCE
    assert windows.axes.times[time] == pytest.approx(0.5, abs=0.07)
    assert maps.kinds["chan"][1].argmax() == SOURCE


def test_line_length_is_found_in_its_part_of_the_window() -> None:
    windows = responses()
    for x, y in ((windows.x, windows.y), (windows.x_train, windows.y_train)):
        x[y == 1, SOURCE, :50] *= 2
    maps = explain("line_length_lr", windows)
    assert maps.kinds["chan"][1].argmax() == SOURCE
    assert windows.axes.times[maps.kinds["time"][1].argmax()] < 0.5
    assert "freq" not in maps.kinds


def test_nets_and_pooled_channels_have_none(windows: Windows) -> None:
    assert haufe_patterns(holding(Power()), windows) is None
    pooled = fitted("bandpower_lr", windows, pool="always")
    assert haufe_patterns(pooled, windows) is None


def test_absent_channels_have_none(windows: Windows) -> None:
    x = windows.x_train.copy()
    x[::2, 0] = np.nan
    decoder = fitted("bandpower_lr", windows)
    assert haufe_patterns(decoder, replace(windows, x_train=x)) is None
