import mne
import numpy as np
import pytest

from neurodecode.core.errors import SignalError, UnknownName
from neurodecode.preprocess.chain import finish, prepare, preprocess, with_eog
from neurodecode.preprocess.filter import continuous_spans

SFREQ = 200.0
NAMES = ["C3", "Cz", "C4", "Fz", "Pz", "Oz", "EOG"]


@pytest.fixture
def raw() -> mne.io.RawArray:
    rng = np.random.default_rng(0)
    info = mne.create_info(NAMES, SFREQ, ["eeg"] * 6 + ["eog"])
    raw = mne.io.RawArray(1e-5 * rng.standard_normal((7, 2000)), info)
    return raw.set_montage("standard_1005", on_missing="ignore")


def test_keeps_the_brain_channels_and_leaves_the_recording_alone(raw: mne.io.RawArray) -> None:
    before = raw.get_data().copy()
    out = preprocess(raw, band=(8, 30), reference="average")
    assert out.ch_names == NAMES[:6]
    np.testing.assert_array_equal(raw.get_data(), before)
    np.testing.assert_allclose(out.get_data().mean(axis=0), 0, atol=1e-12)


def test_channels_come_in_the_order_asked_for(raw: mne.io.RawArray) -> None:
    assert preprocess(raw, channels=["Cz", "C3"]).ch_names == ["Cz", "C3"]


def test_a_wrong_channel_name_is_told_the_nearest(raw: mne.io.RawArray) -> None:
    with pytest.raises(UnknownName, match="'C33'. Did you mean 'C3'"):
        preprocess(raw, channels=["C33"])
    with pytest.raises(UnknownName, match="'Q1'"):
        preprocess(raw, drop=["Q1"])


def test_the_zero_phase_filter_is_that_of_moabb(raw: mne.io.RawArray) -> None:
    expected = raw.copy().pick(NAMES[:6]).filter(8, 30, method="iir")
    np.testing.assert_array_equal(preprocess(raw, band=(8, 30)).get_data(), expected.get_data())


@pytest.mark.parametrize("resample", [None, 100.0])
def test_in_causal_mode_the_future_changes_nothing(
    raw: mne.io.RawArray, resample: float | None
) -> None:
    def run(r: mne.io.RawArray) -> np.ndarray:
        return preprocess(
            r, notch=50, band=(8, 30), filter="causal", resample=resample, reference="average"
        ).get_data()

    changed = raw.copy()
    changed._data[:, 1000:] += 1.0
    cut = 1000 if resample is None else 500
    np.testing.assert_array_equal(run(raw)[:, :cut], run(changed)[:, :cut])
    assert (run(raw)[:, cut:] != run(changed)[:, cut:]).any()


def test_the_zero_phase_filter_does_see_the_future(raw: mne.io.RawArray) -> None:
    changed = raw.copy()
    changed._data[:, 1000:] += 1.0
    first, second = (preprocess(r, band=(8, 30)).get_data() for r in (raw, changed))
    assert (first[:, :1000] != second[:, :1000]).any()


def test_a_causal_filter_starts_anew_after_a_boundary(raw: mne.io.RawArray) -> None:
    raw.set_annotations(mne.Annotations([5.0], [0.0], ["EDGE boundary"]))
    assert continuous_spans(raw) == [(0, 1000), (1000, 2000)]
    alone = raw.copy().crop(5.0).set_annotations(None)
    whole, part = (preprocess(r, band=(8, 30), filter="causal") for r in (raw, alone))
    np.testing.assert_allclose(whole.get_data()[:, 1000:], part.get_data(), atol=1e-18)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "not finite"), (0.0, "flat")])
def test_a_dead_channel_stops_with_its_name(raw: mne.io.RawArray, value: float, word: str) -> None:
    raw._data[2] = value
    with pytest.raises(SignalError, match=rf"1 of 6 channels cannot be used: C4 \({word}\)"):
        preprocess(raw)
    repaired = preprocess(raw, bad_channels="interpolate").get_data()
    assert np.isfinite(repaired).all()
    assert np.ptp(repaired[2]) > 0


def test_interpolation_without_positions_is_refused(raw: mne.io.RawArray) -> None:
    raw._data[2] = 0
    raw.set_montage(None)
    with pytest.raises(SignalError, match="cannot be interpolated"):
        preprocess(raw, bad_channels="interpolate")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"band": (8, 130)}, "needs 0 < low < high < 100 Hz"),
        ({"notch": 150.0}, "A notch at 150.0 Hz"),
        ({"filter": "causal", "band": (8, 30), "resample": 150.0}, "not a whole multiple"),
        ({"filter": "causal", "resample": 100.0}, "folds what lies above 50 Hz"),
        ({"channels": ["Cz"], "reference": "average"}, "leaves nothing"),
        ({"drop": NAMES[:6]}, "No brain channel is left"),
    ],
)
def test_what_a_recording_cannot_give_is_refused(
    raw: mne.io.RawArray, options: dict, words: str
) -> None:
    with pytest.raises(SignalError, match=words):
        preprocess(raw, **options)


@pytest.mark.parametrize("filter", ["zero-phase", "causal"])
def test_the_two_halves_make_the_whole(raw: mne.io.RawArray, filter: str) -> None:
    second = {"band": (8, 30), "filter": filter, "resample": 100.0, "reference": "average"}
    first = {"notch": 50, "drop": ["Oz"], "filter": filter}
    whole = preprocess(raw, **first | second)
    prepared = prepare(raw, **first)
    before = prepared.get_data().copy()
    halves = finish(prepared, **second)
    assert halves.ch_names == whole.ch_names == NAMES[:5]
    np.testing.assert_array_equal(halves.get_data(), whole.get_data())
    np.testing.assert_array_equal(prepared.get_data(), before)


def test_eye_channels_stand_behind_those_of_the_brain(raw: mne.io.RawArray) -> None:
    alone = prepare(raw, notch=50)
    both = with_eog(alone, raw, notch=50)
    assert both.ch_names == NAMES
    assert both.get_channel_types() == ["eeg"] * 6 + ["eog"]
    np.testing.assert_array_equal(both.get_data()[:6], alone.get_data())
    assert (both.get_data()[6] != raw.get_data()[6]).any()


def test_unusable_eye_channels_are_left_out(raw: mne.io.RawArray) -> None:
    alone = prepare(raw)
    assert with_eog(alone, raw, drop=["EOG"]).ch_names == NAMES[:6]
    raw._data[6] = 0.0
    assert with_eog(alone, raw).ch_names == NAMES[:6]
    assert with_eog(prepare(raw, channels=["C3", "EOG"], bad_channels="keep"), raw).ch_names == [
        "C3",
        "EOG",
    ]
