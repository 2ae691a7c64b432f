"""Windows that slide over a recording: where they stand, what they are called, what is kept."""

from dataclasses import replace
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.epochs.cut import cut_again, cut_epochs
from neurodecode.epochs.epochset import EpochSet, join
from neurodecode.recordings.load import Recording

CLASSES = ["background", "seizure"]
SFREQ = 10.0


def record(
    *events: tuple[float, float], seconds: float = 60, label: str = "seizure", n_chans: int = 2
) -> Recording:
    """A ramp of one microvolt per sample, with events given as (onset, duration)."""
    ramp = np.arange(round(seconds * SFREQ)) * 1e-6
    info = mne.create_info([f"A{i + 1}" for i in range(n_chans)], SFREQ, "seeg")
    return Recording(
        raw=mne.io.RawArray(np.stack([ramp] * n_chans), info),
        onset=np.array([e[0] for e in events], dtype=float),
        duration=np.array([e[1] for e in events], dtype=float),
        label=[label] * len(events),
        dataset="d",
        subject=str(n_chans),
        session="0",
        run="0",
    )


def slid(recording: Recording, **options: Any) -> EpochSet:
    return cut_epochs(
        recording, CLASSES, **{"window": (0, 6), "stride": 3.0, "slide": True, **options}
    )


def test_windows_stand_on_a_grid_over_the_whole_recording() -> None:
    epochs = slid(record((20, 10), seconds=61))
    assert epochs.table["onset"].tolist() == list(np.arange(0, 56, 3.0))
    np.testing.assert_allclose(epochs.x[:, 0, 0], 10 * epochs.table["onset"])
    assert epochs.x.shape == (19, 2, 60)
    assert epochs.classes == ("background", "seizure")


def test_the_label_is_about_the_last_stride_of_a_window() -> None:
    epochs = slid(record((21, 9)))
    asked = epochs.table["onset"][epochs.y == 1] + 3
    assert asked.tolist() == [21, 24, 27]


@pytest.mark.parametrize(("onset", "is_seizure"), [(22.4, True), (22.5, True), (22.6, False)])
def test_half_of_the_stride_makes_an_event(onset: float, is_seizure: bool) -> None:
    """The stride that ends at 24 s is covered from the onset to its end."""
    epochs = slid(record((onset, 1.6 if is_seizure else 1.4)))
    assert (epochs.y[epochs.table["onset"] == 18.0] == 1) == is_seizure


def test_two_events_at_once_count_once() -> None:
    epochs = slid(record((21, 1.0), (21, 1.0)))
    assert epochs.y.sum() == 0


def test_other_events_are_background() -> None:
    assert slid(record((21, 9), label="chewing")).y.sum() == 0


def test_a_recording_without_an_event_is_background_throughout() -> None:
    epochs = slid(record())
    assert len(epochs) == 19
    assert not epochs.y.any()
    assert set(epochs.table["block"]) == {0}


def test_by_default_windows_follow_one_another() -> None:
    assert slid(record(), stride=None).table["onset"].tolist() == list(np.arange(0, 55, 6.0))


def test_only_the_length_of_the_window_counts() -> None:
    np.testing.assert_array_equal(slid(record(), window=(2, 8)).x, slid(record()).x)


def test_blocks_meet_half_way_between_events() -> None:
    epochs = slid(record((12, 6), (42, 6)))
    block, onset = epochs.table["block"].to_numpy(), epochs.table["onset"].to_numpy()
    assert (np.diff(block) >= 0).all()
    assert set(block) == {0, 1}
    middle = onset[block == 1].min() + 4.5  # of the stride that the first window is asked about
    assert 30 <= middle < 33
    for b in (0, 1):
        assert set(epochs.y[block == b]) == {0, 1}


def test_bad_spans_are_left_out_and_nothing_moves() -> None:
    recording = record((21, 9))
    recording.raw.set_annotations(mne.Annotations([30.0], [1.0], ["BAD_pop"]))
    epochs, whole = slid(recording), slid(record((21, 9)))
    lost = sorted(set(whole.table["onset"]) - set(epochs.table["onset"]))
    assert lost == [27.0, 30.0]
    kept = np.isin(whole.table["onset"], epochs.table["onset"])
    np.testing.assert_array_equal(epochs.y, whole.y[kept])


def test_loud_windows_are_left_out_with_their_labels() -> None:
    recording = record((21, 9))
    recording.raw._data[0, 215] = 1.0
    epochs = slid(recording, reject=1000.0)
    assert not {18.0, 21.0} & set(epochs.table["onset"])
    assert epochs.y.sum() == 1


def test_a_recording_shorter_than_a_window_has_none() -> None:
    assert len(slid(record(seconds=5))) == 0


def test_the_same_windows_are_cut_again() -> None:
    recording = record((21, 9))
    epochs = slid(recording)
    again = cut_again(
        recording.raw, epochs.table["onset"].to_numpy(), n_times=60, window=(0, 6), name="r"
    )
    np.testing.assert_array_equal(again, epochs.x)


@pytest.mark.parametrize(
    ("classes", "options", "words"),
    [
        (["seizure", "background"], {}, "data.events=\\[background,seizure\\]"),
        (["background", "a", "b"], {}, "one kind of event"),
        (CLASSES, {"window": None}, "needs the length of a window"),
        (CLASSES, {"stride": 7.0}, "longer than the 6 s window"),
        (CLASSES, {"baseline": (-1, 0)}, "stand at none"),
    ],
)
def test_what_cannot_be_is_one_line(classes: list[str], options: Any, words: str) -> None:
    choice = {"window": (0, 6), "stride": 3.0, "slide": True, **options}
    with pytest.raises(ConfigError, match=words):
        cut_epochs(record((21, 9)), classes, **choice)


def test_a_stride_that_never_moves_is_refused() -> None:
    with pytest.raises(SignalError, match="never reaches the next window"):
        slid(record(), stride=0.0)


def test_different_channels_are_padded_when_asked() -> None:
    few, many = slid(record((21, 9), n_chans=2)), slid(record((30, 9), n_chans=5))
    both = join([few, many, few], channels="any")
    assert both.x.shape == (57, 5, 60)
    assert both.ch_names == ("1", "2", "3", "4", "5")
    assert both.positions is None
    np.testing.assert_array_equal(both.x[:19, :2], few.x)
    assert np.isnan(both.x[:19, 2:]).all()
    np.testing.assert_array_equal(both.x[19:38], many.x)
    assert both.y.tolist() == [*few.y, *many.y, *few.y]
    assert both.table["subject"].tolist() == ["2"] * 19 + ["5"] * 19 + ["2"] * 19


def test_padded_sets_are_padded_again() -> None:
    small, big = slid(record(n_chans=2)), slid(record(n_chans=5))
    both = join([join([small, slid(record(n_chans=3))], channels="any"), big], channels="any")
    assert both.x.shape[1] == 5
    assert np.isfinite(both.x).all(axis=2).sum(axis=1).tolist() == [2] * 19 + [3] * 19 + [5] * 19


def test_as_many_channels_of_other_names_are_numbered() -> None:
    one = slid(record())
    other = replace(one, ch_names=("B1", "B2"))
    both = join([one, other], channels="any")
    assert both.ch_names == ("1", "2")
    assert np.isfinite(both.x).all()


def test_nothing_is_padded_where_channels_are_alike() -> None:
    one = slid(record())
    turned = replace(one, x=one.x[:, ::-1] + 1, ch_names=one.ch_names[::-1])
    alike, same = (join([one, turned], channels=c) for c in ("any", "same"))
    assert alike.digest() == same.digest()
    assert alike.ch_names == ("A1", "A2")


def test_different_channels_tell_of_the_choice() -> None:
    with pytest.raises(SignalError, match="data.montage=any"):
        join([slid(record(n_chans=2)), slid(record(n_chans=3))])
