"""Causal preprocessing in chunks is that of the whole recording."""

import mne
import numpy as np
import pytest

from neurodecode.core.errors import SignalError, UnknownName
from neurodecode.preprocess.bad_channels import repair_matrix
from neurodecode.preprocess.chain import preprocess
from neurodecode.preprocess.stream import CausalStream, settling
from neurodecode.signal.filters import bandpass_sos

NAMES = ("F3", "C3", "Cz", "C4")


def recording(sfreq: float = 200.0) -> mne.io.BaseRaw:
    x = 1e-5 * np.random.default_rng(0).standard_normal((4, 1000)) + 1e-3
    return mne.io.RawArray(x, mne.create_info(list(NAMES), sfreq, "eeg"), verbose="ERROR")


@pytest.mark.parametrize("chunk", [1, 3, 64, 1000])
@pytest.mark.parametrize(
    "options",
    [
        {"band": (8.0, 32.0)},
        {"band": (None, 30.0), "notch": 50.0, "reference": "average"},
        {"band": (1.0, 20.0), "resample": 50.0, "reference": ["C3", "C4"]},
        {},
    ],
)
def test_chunks_give_the_recording(chunk: int, options: dict) -> None:
    raw = recording()
    whole = preprocess(raw, filter="causal", **options).get_data()
    rate = options.get("resample")
    given = {name: value for name, value in options.items() if name != "resample"}
    stream = CausalStream(NAMES, NAMES, sfreq=200.0, out_sfreq=rate, **given)
    state, parts = stream.start(), []
    for i in range(0, 1000, chunk):
        y, state = stream.step(raw.get_data()[:, i : i + chunk], state)
        parts.append(y)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-15)


def test_a_step_does_not_change_the_state_it_was_given() -> None:
    stream = CausalStream(NAMES, NAMES, sfreq=200.0, band=(8.0, 32.0), notch=50.0)
    x = recording().get_data()
    _, state = stream.step(x[:, :100], stream.start())
    first, _ = stream.step(x[:, 100:200], state)
    again, _ = stream.step(x[:, 100:200], state)
    np.testing.assert_array_equal(first, again)


def test_channels_that_only_serve_a_cleaner_do_not_come_out() -> None:
    stream = CausalStream((*NAMES, "EOG"), ("Cz", "C3"), sfreq=200.0)
    x = np.random.default_rng(0).standard_normal((5, 10))
    np.testing.assert_array_equal(stream.step(x, stream.start())[0], x[[2, 1]])


def test_a_reference_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownName, match="reference"):
        CausalStream(NAMES, NAMES, sfreq=200.0, reference=["Pz"])


@pytest.mark.parametrize(("rate", "word"), [(120.0, "no whole multiple"), (50.0, "ends below")])
def test_a_rate_that_cannot_be_had_is_refused(rate: float, word: str) -> None:
    with pytest.raises(SignalError, match=word):
        CausalStream(NAMES, NAMES, sfreq=200.0, out_sfreq=rate, band=(8.0, 32.0))


def test_a_filter_has_settled_when_an_impulse_is_over() -> None:
    slow, fast = (settling(bandpass_sos(low, 40.0, sfreq=200.0), 200.0) for low in (1.0, 8.0))
    assert 0.05 < fast < 0.5
    assert fast < slow < 2.0
    assert settling(None, 200.0) == 0.0


def test_a_filled_in_channel_is_what_interpolation_makes_of_the_others() -> None:
    info = mne.create_info(["Fz", "Cz", "Pz", "C3", "C4", "Oz", "F3", "F4"], 100.0, "eeg")
    raw = mne.io.RawArray(np.random.default_rng(0).standard_normal((8, 50)), info, verbose="ERROR")
    raw.set_montage("colin27_1020")
    places = np.array([c["loc"][:3] for c in raw.info["chs"]])
    matrix = repair_matrix(raw.ch_names, places, [1, 4])
    raw.info["bads"] = ["Cz", "C4"]
    wanted = raw.copy().interpolate_bads(verbose="ERROR").get_data()
    np.testing.assert_allclose(matrix @ raw.get_data(), wanted, atol=1e-9)
