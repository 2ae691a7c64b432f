"""Do patterns show the sources that a decoder weighs, and the rhythm that it reads in them?"""

from dataclasses import replace

import numpy as np
import pytest
from mixed_sources import NOISE, SOURCE, fitted, mixed
from toy_decoders import Power, holding

from neurodecode.explain.csp_patterns import class_change, csp_patterns, find_components
from neurodecode.explain.truth import against_truth
from neurodecode.explain.windows import Axes, Maps, Windows
from neurodecode.preprocess.filter import filter_zero_phase
from neurodecode.recordings.synthetic import Synthetic


def explain(model: str, windows: Windows, **options: object) -> Maps:
    maps = csp_patterns(fitted(model, windows, **options), windows)
    assert maps is not None
    return maps


@pytest.mark.parametrize(("model", "most"), [("csp_lda", 0.15), ("fbcsp", 0.6)])
def test_the_source_is_shown_and_not_the_noise_that_a_filter_cancels(
    model: str, most: float
) -> None:
    maps = explain(model, mixed())
    chan = maps.kinds["chan"][1]
    assert chan.argmax() == SOURCE
    assert chan[NOISE] < most * chan[SOURCE]


def test_the_filter_does_weigh_that_noise() -> None:
    windows = mixed()
    decoder = fitted("csp_lda", windows, n_patterns=1)
    own = decoder.model_.steps[1][1].filters_[0]
    assert abs(own[NOISE]) > 0.5 * abs(own[SOURCE])


@pytest.mark.parametrize("model", ["csp_lda", "fbcsp"])
def test_the_rhythm_that_differs_wins_over_a_stronger_one_that_does_not(model: str) -> None:
    windows = mixed()
    maps = explain(model, windows)
    found = windows.axes.freqs[maps.kinds["freq"][1].argmax()]
    low, high = (9, 11) if model == "csp_lda" else (8, 12)
    assert low <= found <= high


def test_patterns_are_those_of_the_mixture() -> None:
    windows = mixed(200)
    maps = explain("csp_lda", windows)
    best = maps.kinds["patterns"][0]
    truth = np.array([0, 0, 1, 0.2, 0, 0])
    assert abs(np.corrcoef(best, truth)[0, 1]) > 0.98
    assert maps.kinds["patterns"].shape == (6, 6)


def test_patterns_of_a_bank_are_those_of_the_mixture() -> None:
    windows = mixed(200)
    components = find_components(fitted("fbcsp", windows), windows)
    assert components is not None
    ten = components.patterns[components.bands[:, 0] == 8]
    truth = np.array([0, 0, 1, 0.2, 0, 0])
    assert max(abs(np.corrcoef(own, truth)[0, 1]) for own in ten) > 0.98


def test_of_three_classes_each_shows_its_own_source() -> None:
    windows = mixed(90, n_classes=3)
    for model in ("csp_lda", "fbcsp"):
        maps = explain(model, windows)
        chan, freq = maps.kinds["chan"], windows.axes.freqs[maps.kinds["freq"].argmax(axis=1)]
        assert chan.shape == (3, 6)
        assert [chan[1].argmax(), chan[2].argmax()] == [SOURCE, 1]
        assert abs(freq[1] - 10) <= 2
        assert abs(freq[2] - 14) <= 2


def test_the_bins_of_a_component_add_up_to_the_change_of_its_log_power() -> None:
    """The same windows in both classes, a twentieth larger in one."""
    windows = mixed()
    x, n = windows.x_train, len(windows.x_train)
    twice = replace(
        windows,
        x_train=np.concatenate([x, np.float32(1.05) * x]),
        y_train=np.repeat([0, 1], n),
    )
    components = find_components(fitted("csp_lda", windows), twice)
    assert components is not None
    added = class_change(components, twice).sum(axis=2)
    np.testing.assert_allclose(added, 2 * np.log(1.05), rtol=1e-4)


def test_a_permutation_of_channels_permutes_the_map() -> None:
    windows, order = mixed(), np.array([3, 1, 5, 0, 2, 4])
    names = tuple(windows.axes.ch_names[i] for i in order)
    other = replace(
        windows,
        x=windows.x[:, order],
        x_train=windows.x_train[:, order],
        axes=replace(windows.axes, ch_names=names),
    )
    here, there = explain("csp_lda", windows), explain("csp_lda", other)
    for kind in ("chan", "chan_freq"):
        np.testing.assert_allclose(there.kinds[kind], here.kinds[kind][:, order], rtol=1e-3)


def test_decoders_without_spatial_patterns_have_none() -> None:
    windows = mixed(20)
    assert csp_patterns(fitted("ts_lr", windows), windows) is None
    assert csp_patterns(holding(Power(np.ones(4))), windows) is None


def test_a_class_that_was_never_trained_is_not_a_number() -> None:
    windows = mixed(20)
    three = replace(windows, axes=replace(windows.axes, classes=("a", "b", "c")))
    maps = csp_patterns(fitted("csp_lda", windows), three)
    assert maps is not None
    assert np.isnan(maps.kinds["chan"][2]).all()
    assert np.isfinite(maps.kinds["chan"][:2]).all()


def simulated(subject: int, people: Synthetic) -> tuple[Windows, np.ndarray, object]:
    """Windows of one simulated person, from 8 to 32 Hz; and where electrodes and sources are."""
    truth = people.truth(subject)["0"]["0"]
    raw = truth.raw()
    positions = np.array([ch["loc"][:3] for ch in raw.info["chs"]])
    filter_zero_phase(raw, notch=None, band=(8.0, 32.0))
    signal = raw.get_data() * 1e6
    starts = np.rint(truth.onsets * truth.sfreq).astype(int)
    x = np.stack([signal[:, i : i + 512] for i in starts]).astype(np.float32)
    y = np.array([people.classes.index(label) for label in truth.labels])
    axes = Axes(classes=people.classes, ch_names=truth.ch_names, sfreq=128.0, n_times=512)
    return Windows(x=x, y=y, x_train=x, y_train=y, axes=axes), positions, truth.sources


@pytest.mark.parametrize("subject", [1, 3])
def test_simulated_hands_are_found_at_c3_and_c4_in_the_persons_own_band(subject: int) -> None:
    people = Synthetic(n_subjects=3, n_sessions=1, n_trials=40, cache=False)
    windows, positions, sources = simulated(subject, people)
    maps = explain("csp_lda", windows)
    found = against_truth(maps, windows.axes, positions, sources)
    assert found["chan_hit"] == 1
    assert found["band_hit"] == 1
    assert found["chan_mass"] > 1.25 * found["chan_expected"]
