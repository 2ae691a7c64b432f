"""What every cleaner owes: nothing lost, nothing else touched, live and offline the same."""

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import mne
import numpy as np
import pytest
from mne.utils import object_diff

from neurodecode.artifacts import CLEANERS, Cleaner, StreamingCleaner
from neurodecode.artifacts.apply import clean, fit_cleaner, without_drift
from neurodecode.artifacts.recording import brain_channels
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.training.checkpoint import decode, encode

SFREQ = 128.0
QUICK: dict[str, dict[str, Any]] = {  # smaller searches; what is owed is the same
    "autoreject": {"max_segments": 12, "cv": 2, "n_interpolate": (1,), "consensus": (0.5, 0.9)},
    "ica": {"n_components": 8},
}
NAMES = CLEANERS.names()


@cache
def recorded(session: str) -> mne.io.BaseRaw:
    """Nearly a minute with blinks, line noise, a loose electrode, a bad channel, and an ECG."""
    people = Synthetic(
        paradigm="state", n_subjects=1, n_sessions=2, n_trials=2, sfreq=SFREQ, cache=False
    )
    raw = people.truth(1)[session]["0"].raw()
    time, rng = raw.times, np.random.default_rng(int(session))
    raw._data += 2e-6 * np.linspace(1, 2, 19)[:, None] * np.sin(2 * np.pi * 50 * time)
    loose = (time > 10) & (time < 13)
    raw._data[raw.ch_names.index("C3"), loose] += 1e-4 * rng.standard_normal(loose.sum())
    ecg = mne.io.RawArray(
        1e-3 * np.sin(7 * time)[None], mne.create_info(["ECG"], SFREQ, "ecg"), verbose="ERROR"
    )
    raw.add_channels([ecg], force_update_info=True)
    raw.set_meas_date(1_700_000_000)
    raw.info["bads"] = ["T8"]
    raw.annotations.append(1.0, 0.5, "a word")
    return without_drift(raw)


@pytest.fixture
def raw() -> mne.io.BaseRaw:
    """A recording of the person that cleaners are fitted to, of another session."""
    return recorded("1").copy()


def build(name: str) -> Cleaner:
    return CLEANERS.get(name)(**QUICK.get(name, {}))


def fit(name: str, raw: mne.io.BaseRaw) -> Cleaner:
    try:
        return build(name).fit([raw])
    except ConfigError as error:
        if "[denoise]" in str(error):
            pytest.skip(str(error))
        raise


@cache
def fitted(name: str) -> Cleaner:
    return fit(name, recorded("0").copy())


@cache
def cleaned(name: str) -> mne.io.BaseRaw:
    return fitted(name).transform(recorded("1").copy())


def streaming(name: str) -> StreamingCleaner:
    cleaner = fitted(name)
    if not isinstance(cleaner, StreamingCleaner):
        pytest.skip(f"{name} has no step")
    return cleaner


def signal(cleaner: Any, raw: mne.io.BaseRaw, n: int = 800) -> np.ndarray:
    x: np.ndarray = raw.get_data([raw.ch_names.index(name) for name in cleaner.ch_names_])[:, :n]
    return x


def test_there_are_cleaners() -> None:
    assert {"regression", "ica", "autoreject", "zapline"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_summary_is_a_line(name: str) -> None:
    assert CLEANERS.summary(name).endswith((".", "?"))


@pytest.mark.parametrize("name", NAMES)
def test_takes_something_out_and_leaves_most(name: str, raw: mne.io.BaseRaw) -> None:
    names = brain_channels(raw)
    x, y = raw.get_data(names), cleaned(name).get_data(names)
    assert np.isfinite(y).all()
    assert np.abs(x - y).max() > 1e-6
    still = np.abs(raw.get_data(["Fp1"])[0]) < 3e-5
    ratio = y[:, still].std(axis=1) / x[:, still].std(axis=1)
    assert 0.5 < np.median(ratio) < 1.05  # volts in, volts out


@pytest.mark.parametrize("name", NAMES)
def test_nothing_else_is_touched(name: str, raw: mne.io.BaseRaw) -> None:
    out = cleaned(name)
    assert out.ch_names == raw.ch_names
    assert out.get_channel_types() == raw.get_channel_types()
    assert (out.n_times, out.first_samp) == (raw.n_times, raw.first_samp)
    assert out.info["sfreq"] == raw.info["sfreq"]
    assert out.info["bads"] == raw.info["bads"]
    assert out.info["meas_date"] == raw.info["meas_date"]
    kept = [(a["onset"], a["duration"], a["description"]) for a in out.annotations]
    assert {(a["onset"], a["duration"], a["description"]) for a in raw.annotations} <= set(kept)
    np.testing.assert_array_equal(out.get_data(["ECG", "T8"]), raw.get_data(["ECG", "T8"]))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_gives_the_same_signal_and_what_was_given_stays(name: str) -> None:
    given = [recorded("0").copy(), recorded("1").copy()]
    again = fit(name, given[0]).transform(given[1])
    np.testing.assert_array_equal(again.get_data(), cleaned(name).get_data())
    for after, before in zip(given, (recorded("0"), recorded("1")), strict=True):
        np.testing.assert_array_equal(after.get_data(), before.get_data())
        assert after.annotations == before.annotations
        assert object_diff(dict(after.info), dict(before.info)) == ""


@pytest.mark.parametrize("name", NAMES)
def test_rank_does_not_matter(name: str) -> None:
    """An average reference, an interpolated channel and a twin leave directions without power."""
    raw = recorded("0").copy()
    x = raw._data
    at = raw.ch_names.index
    x[at("P4")] = 0.5 * (x[at("P3")] + x[at("O2")])
    x[at("C4")] = x[at("Cz")]
    names = brain_channels(raw)
    index = [at(n) for n in names]
    x[index] -= x[index].mean(axis=0)
    y = fit(name, raw).transform(raw).get_data(names)
    assert np.isfinite(y).all()
    assert y.std() < 1.05 * raw.get_data(names).std()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: x.__setitem__(4, 0.0), r"Fz \(flat\)"),
        (lambda x: x.__setitem__((4, 100), np.nan), r"Fz \(not finite\)"),
        (lambda x: x.__imul__(1e6), "no electrode records"),
    ],
    ids=["flat", "nan", "microvolts"],
)
def test_bad_input_is_refused(
    name: str, spoil: Callable[[np.ndarray], None], words: str, raw: mne.io.BaseRaw
) -> None:
    spoil(raw._data)
    with pytest.raises(SignalError, match=words):
        fitted(name).transform(raw)
    with pytest.raises(SignalError, match=words):
        fit(name, raw)


@pytest.mark.parametrize("name", NAMES)
def test_other_channels_and_rates_are_refused(name: str, raw: mne.io.BaseRaw) -> None:
    with pytest.raises(SignalError, match="O2"):
        fitted(name).transform(raw.copy().drop_channels(["O2"]))
    with pytest.raises(SignalError, match="100 Hz"):
        fitted(name).transform(raw.copy().resample(100, verbose="ERROR"))


@pytest.mark.parametrize("name", NAMES)
def test_a_short_recording_is_cleaned_or_refused_by_a_line(name: str, raw: mne.io.BaseRaw) -> None:
    short = raw.copy().crop(0, 0.5)
    for work in (lambda: fitted(name).transform(short), lambda: fit(name, short).transform(short)):
        try:
            y = work()
        except SignalError:
            continue
        assert y.n_times == short.n_times
        assert np.isfinite(y.get_data()).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 7, 64, 1000])
def test_chunks_give_the_same_signal_as_the_whole(name: str, n: int, raw: mne.io.BaseRaw) -> None:
    cleaner = streaming(name)
    x = signal(cleaner, raw)
    y, state = cleaner.step(x, cleaner.start())
    whole = np.concatenate([y, cleaner.finish(state)], axis=1)
    assert whole.shape == x.shape
    state, parts, longest = cleaner.start(), [], 0
    for start in range(0, x.shape[1], n):
        y, state = cleaner.step(x[:, start : start + n], state)
        parts.append(y)
        came = sum(part.shape[1] for part in parts)
        longest = max(longest, min(start + n, x.shape[1]) - came)
    parts.append(cleaner.finish(state))
    error = np.abs(np.concatenate(parts, axis=1) - whole).max()
    assert error < 1e-6 * np.abs(whole).max()
    # Counted before the next sample arrives: one that waits for k more came out after k of them.
    assert longest <= cleaner.delay * SFREQ + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_step_changes_neither_its_state_nor_its_chunk(name: str, raw: mne.io.BaseRaw) -> None:
    cleaner = streaming(name)
    x = signal(cleaner, raw)
    first, state = cleaner.step(x[:, :500], cleaner.start())
    chunk = x[:, 500:].copy()
    one, _ = cleaner.step(chunk, state)
    cleaner.finish(state)
    two, _ = cleaner.step(chunk, state)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(chunk, x[:, 500:])


@pytest.mark.parametrize("name", NAMES)
def test_a_fitted_cleaner_comes_back_from_numbers_and_text(name: str, raw: mne.io.BaseRaw) -> None:
    tensors: dict[str, Any] = {}
    code = json.loads(json.dumps(encode(fitted(name), "cleaner", tensors)))
    again = decode(code, tensors, build(name))
    assert all(key.endswith("_") for key in set(vars(again)) - set(again.get_params()))
    np.testing.assert_array_equal(again.transform(raw).get_data(), cleaned(name).get_data())


@pytest.mark.parametrize("name", NAMES)
def test_offsets_and_drift_stay_where_a_recording_has_them(name: str) -> None:
    raw = recorded("1").copy()
    with raw.info._unlock():
        raw.info["highpass"] = 0.0
    offset = 0.02 * np.linspace(-1, 1, len(raw.ch_names))[:, None]
    raw._data += offset
    y = clean(fitted(name), raw).get_data(brain_channels(raw))
    index = [raw.ch_names.index(n) for n in brain_channels(raw)]
    assert np.abs(np.median(y, axis=1) - offset[index, 0]).max() < 1e-5


@pytest.mark.parametrize("name", ["asr", "regression", "atat", "tinyconv"])
def test_a_dropout_is_not_what_is_usual(name: str, raw: mne.io.BaseRaw) -> None:
    raw.crop(0, 40, include_tmax=False)
    whole = CLEANERS.get(name)().fit([raw]).transform(raw).get_data(picks="eeg")
    lost = raw.copy()
    lost._data[:, raw.n_times // 4 : 3 * raw.n_times // 4] = 0.0
    with lost.info._unlock():
        lost.info["highpass"] = 0.5  # it is; the zeros stay zeros
    cleaner = fit_cleaner(CLEANERS.get(name)(), [lost])
    some = clean(cleaner, lost).get_data(picks="eeg")
    before = raw.get_data(picks="eeg")
    kept = slice(0, raw.n_times // 5)
    taken = [np.std((y - before)[:, kept]) for y in (whole, some)]
    assert taken[1] < 1.5 * taken[0] + 1e-6


BAD: list[tuple[str, dict[str, Any]]] = [
    ("tinyconv", {"lookahead": -1.0}),
    ("tinyconv", {"fade": -0.1}),
    ("atat", {"hop": float("nan")}),
    ("atat", {"hop": float("inf")}),
    ("asr", {"window": float("inf")}),
    ("asr", {"window": 1e-3, "hop": 1e-3}),
    ("regression", {"gate": -1.0}),
    ("regression", {"gate": float("nan")}),
    ("regression", {"gate": float("inf")}),
    ("zapline", {"line": 0.01}),
    ("zapline", {"line": 50.0, "n_remove": -3}),
    ("ica", {"n_components": 0}),
    ("ica", {"n_components": 1}),
    ("ica", {"threshold": 7.0}),
    ("ica", {"seed": -1}),
    ("autoreject", {"length": 0.0}),
    ("autoreject", {"length": float("nan")}),
    ("autoreject", {"cv": 1}),
    ("autoreject", {"max_segments": 0}),
    ("autoreject", {"n_interpolate": ()}),
    ("autoreject", {"seed": -1}),
]


@pytest.mark.parametrize(("name", "options"), BAD)
def test_an_option_that_cannot_be_is_refused(
    name: str, options: dict[str, Any], raw: mne.io.BaseRaw
) -> None:
    cleaner = CLEANERS.get(name)(**options)
    with pytest.raises(ConfigError):
        cleaner.fit([raw])
