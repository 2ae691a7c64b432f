from dataclasses import replace

import mne
import numpy as np
import pytest

from neurodecode.core.errors import SignalError
from neurodecode.epochs.cut import cut_epochs
from neurodecode.epochs.epochset import join
from neurodecode.epochs.reject import outside_bad_spans
from neurodecode.recordings.load import Recording, find_events

SFREQ = 100.0


@pytest.fixture
def recording() -> Recording:
    """A ramp of one microvolt per sample, so that a window says where it was cut."""
    ramp = np.arange(2000) * 1e-6
    raw = mne.io.RawArray(np.stack([ramp, -ramp]), mne.create_info(["C3", "C4"], SFREQ, "eeg"))
    return Recording(
        raw=raw,
        onset=np.array([1.0, 5.0, 10.0]),
        duration=np.array([4.0, 4.0, 4.0]),
        label=["left", "right", "left"],
        dataset="d",
        subject="1",
        session="0",
        run="0",
    )


def test_a_window_is_half_open_and_in_microvolts(recording: Recording) -> None:
    epochs = cut_epochs(recording, ["left", "right"], window=(0.5, 4.5))
    assert epochs.x.shape == (3, 2, 400)
    np.testing.assert_allclose(epochs.x[:, 0, 0], [150, 550, 1050])
    np.testing.assert_allclose(epochs.x[:, 0, -1], [549, 949, 1449])
    assert epochs.y.tolist() == [0, 1, 0]
    assert epochs.table["onset"].tolist() == [1.5, 5.5, 10.5]


def test_the_endpoint_is_there_when_asked_for(recording: Recording) -> None:
    assert cut_epochs(recording, ["left", "right"], window=(0, 4), endpoint=True).x.shape[2] == 401


def test_without_a_window_the_whole_task_is_cut(recording: Recording) -> None:
    assert cut_epochs(recording, ["left", "right"]).x.shape[2] == 400
    uneven = replace(recording, duration=np.array([4.0, 3.0, 4.0]))
    with pytest.raises(SignalError, match="events last 3 to 4 s, so windows need a length"):
        cut_epochs(uneven, ["left", "right"])


def test_a_stride_cuts_windows_that_stay_within_the_event(recording: Recording) -> None:
    epochs = cut_epochs(recording, ["left", "right"], window=(0, 1.5), stride=1.0)
    assert epochs.table["block"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(epochs.x[:3, 0, 0], [100, 200, 300])


def test_other_events_are_passed_over(recording: Recording) -> None:
    assert len(cut_epochs(recording, ["left"], window=(0, 1))) == 2


def test_an_event_at_the_end_of_the_recording_stops_or_is_dropped(recording: Recording) -> None:
    late = replace(recording, onset=np.array([1.0, 5.0, 19.0]))
    with pytest.raises(SignalError, match=r"1 of 3 windows leave the recording .*19.00 to 23.00 s"):
        cut_epochs(late, ["left", "right"])
    assert len(cut_epochs(late, ["left", "right"], outside="drop")) == 2


def test_windows_on_bad_spans_are_left_out(recording: Recording) -> None:
    recording.raw.set_annotations(mne.Annotations([6.0], [1.0], ["BAD_blink"]))
    assert cut_epochs(recording, ["left", "right"]).table["block"].tolist() == [0, 2]


def test_a_window_across_an_edge_is_left_out(recording: Recording) -> None:
    recording.raw.set_annotations(mne.Annotations([5.0, 12.0], [0.0, 0.0], ["EDGE"] * 2))
    assert cut_epochs(recording, ["left", "right"]).table["block"].tolist() == [0, 1]


def test_loud_windows_are_left_out(recording: Recording) -> None:
    recording.raw._data[1, 600:700] = 1.0
    assert len(cut_epochs(recording, ["left", "right"], reject=500.0)) == 2


def test_the_baseline_is_subtracted(recording: Recording) -> None:
    epochs = cut_epochs(recording, ["left", "right"], baseline=(-0.5, 0.0))
    np.testing.assert_allclose(epochs.x[:, 0, 0], 25.5)


def test_a_value_that_is_not_finite_is_named(recording: Recording) -> None:
    recording.raw._data[1, 600] = np.nan
    with pytest.raises(SignalError, match="1 of 3 windows hold values that are not finite, in C4"):
        cut_epochs(recording, ["left", "right"])


def test_joining_wants_the_same_rate_and_channels(recording: Recording) -> None:
    epochs = cut_epochs(recording, ["left", "right"])
    swapped = epochs.take_channels(["C4", "C3"])
    assert join([epochs, swapped]).ch_names == ("C3", "C4")
    np.testing.assert_array_equal(join([epochs, swapped]).x[:3], epochs.x)
    with pytest.raises(SignalError, match="is sampled at 50 Hz and .* at 100 Hz"):
        join([epochs, replace(epochs, sfreq=50.0)])
    other = replace(epochs, ch_names=("C3", "Pz"))
    with pytest.raises(SignalError, match=r"differ in 2 channels \(C4, Pz\)"):
        join([epochs, other])
    assert join([epochs, other], channels="common").ch_names == ("C3",)
    with pytest.raises(SignalError, match="no channel in common"):
        join([epochs, replace(epochs, ch_names=("P3", "P4"))], channels="common")


def test_the_digest_sees_every_change(recording: Recording) -> None:
    epochs = cut_epochs(recording, ["left", "right"])
    x = epochs.x.copy()
    x[0, 0, 0] = np.nextafter(x[0, 0, 0], np.float32(np.inf))
    digests = {
        epochs.digest(),
        replace(epochs, x=x).digest(),
        replace(epochs, y=1 - epochs.y).digest(),
        replace(epochs, table=epochs.table.assign(subject="2")).digest(),
    }
    assert len(digests) == 4


def test_onsets_of_a_cropped_recording_count_from_its_first_sample(recording: Recording) -> None:
    raw = recording.raw.copy()
    raw.set_annotations(mne.Annotations([6.0, 8.0], [1.0, 0.0], ["BAD", "left"]))
    cropped = raw.crop(5.0)
    onset, duration, label = find_events(cropped, {"left": 1}, interval=(0.5, 2.5))
    assert (onset.tolist(), duration.tolist(), label) == ([3.5], [2.0], ["left"])
    clear = outside_bad_spans(cropped, np.array([0, 50, 100, 200]), 50)
    assert clear.tolist() == [True, True, False, True]
