import mne
import numpy as np
import pytest

from neurodecode.core.errors import SignalError
from neurodecode.epochs.stretches import cut_stretches, good_spans


def recording(
    marks: list[tuple[float, float, str]], *, first_samp: int = 0, n_samples: int = 1000
) -> mne.io.RawArray:
    info = mne.create_info(["C3", "X1"], 100.0, "eeg")
    x = np.arange(2 * n_samples, dtype=float).reshape(2, n_samples) * 1e-6
    raw = mne.io.RawArray(x, info, first_samp=first_samp, verbose="ERROR")
    raw.set_annotations(  # MNE adds the time of the first sample
        mne.Annotations(
            [onset for onset, _, _ in marks],
            [duration for _, duration, _ in marks],
            [words for _, _, words in marks],
        )
    )
    return raw


@pytest.mark.parametrize("first_samp", [0, 250])
@pytest.mark.parametrize(
    ("marks", "spans"),
    [
        ([], [(0, 1000)]),
        ([(3.0, 1.0, "left_hand")], [(0, 1000)]),
        ([(3.0, 1.0, "BAD_eyes")], [(0, 300), (400, 1000)]),
        ([(5.0, 0.0, "BAD boundary"), (5.0, 0.0, "EDGE boundary")], [(0, 500), (500, 1000)]),
        ([(0.0, 2.0, "bad"), (1.0, 3.0, "bad")], [(400, 1000)]),
        ([(2.0, 6.0, "bad"), (3.0, 1.0, "bad")], [(0, 200), (800, 1000)]),
        ([(9.5, 0.5, "bad")], [(0, 950)]),
        ([(0.0, 10.0, "bad")], []),
    ],
)
def test_what_is_marked_bad_is_left_out(
    marks: list[tuple[float, float, str]], spans: list[tuple[int, int]], first_samp: int
) -> None:
    assert good_spans(recording(marks, first_samp=first_samp)) == spans


def test_stretches_are_microvolts_with_places_and_hold_a_window() -> None:
    raw = recording([(3.0, 1.0, "bad"), (4.5, 0.0, "edge")])
    raw.info["chs"][0]["loc"][:3] = [0.1, 0.2, 0.3]
    raw.info["chs"][1]["loc"][:3] = 0.0
    found = cut_stretches(raw, n_times=200, dataset="d", subject="7")
    assert [s.x.shape for s in found] == [(2, 300), (2, 550)]  # 0.5 s are too short
    assert found[1].x[0, 0] == pytest.approx(450, rel=1e-6)
    assert found[0].x.dtype == np.float32
    assert found[0].positions[0] == pytest.approx([0.1, 0.2, 0.3])
    assert np.isnan(found[0].positions[1]).all()
    assert (found[0].dataset, found[0].subject) == ("d", "7")


def test_values_that_are_not_finite_are_refused() -> None:
    raw = recording([])
    raw._data[1, 5] = np.nan
    with pytest.raises(SignalError, match="not finite, in X1"):
        cut_stretches(raw, n_times=200, dataset="d", subject="7")
