import numpy as np
from moabb.datasets.fake import FakeDataset

from neurodecode.recordings.load import load_recordings


def test_recordings_come_in_the_order_of_time_beyond_ten_runs() -> None:
    """Causal alignment sees the windows up to the one decoded: run 10 must not come before 2."""
    dataset = FakeDataset(
        event_list=("left", "right"), n_sessions=1, n_runs=12, n_subjects=1, n_events=2, duration=8
    )
    recordings = list(load_recordings(dataset, 1))
    assert [r.run for r in recordings] == [str(i) for i in range(12)]
    assert all(np.all(np.diff(r.onset) > 0) for r in recordings)
