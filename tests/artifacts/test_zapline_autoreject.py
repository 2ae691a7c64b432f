"""The line goes and nothing else; momentary bad channels are repaired, hopeless segments marked."""

import logging

import mne
import numpy as np
import pytest

from neurodecode.artifacts.autoreject import BAD, Autoreject
from neurodecode.artifacts.zapline import ZapLine
from neurodecode.core.errors import SignalError
from neurodecode.recordings.synthetic import Synthetic


def simulated(sfreq: float = 128.0) -> mne.io.BaseRaw:
    people = Synthetic(
        paradigm="state", n_subjects=1, n_sessions=1, n_trials=2, sfreq=sfreq, cache=False,
        artifacts=False,
    )  # fmt: skip
    raw = people.truth(1)["0"]["0"].raw()
    raw.filter(1, None, verbose="ERROR")
    return raw


@pytest.mark.parametrize(("sfreq", "line"), [(128.0, 50.0), (250.0, 50.0), (250.0, 60.0)])
def test_the_line_is_found_and_goes(sfreq: float, line: float) -> None:
    pytest.importorskip("mne_denoise")
    raw = simulated(sfreq)
    clean = raw.get_data().copy()
    size = 5e-6 * np.random.default_rng(0).standard_normal((19, 1))
    raw._data += size * np.sin(2 * np.pi * line * raw.times)
    zapline = ZapLine().fit([raw])
    left = zapline.transform(raw).get_data() - clean
    assert zapline.line_ == line
    assert zapline.delay <= 0.6 / line
    assert left.std() < 0.35 * (raw.get_data() - clean).std()


def test_without_a_line_nothing_is_removed(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("mne_denoise")
    raw = simulated()
    with caplog.at_level(logging.WARNING):
        zapline = ZapLine().fit([raw])
    assert "Neither 50 nor 60 Hz" in caplog.text
    np.testing.assert_array_equal(zapline.transform(raw).get_data(), raw.get_data())
    with pytest.raises(SignalError, match="70 Hz is not below 64 Hz"):
        ZapLine(line=70.0).fit([raw])


def test_a_loose_channel_is_repaired_and_a_hopeless_segment_marked() -> None:
    pytest.importorskip("autoreject")
    raw = simulated()
    clean = raw.get_data().copy()
    reject = Autoreject(max_segments=15, cv=2, n_interpolate=(2,), consensus=(0.6,)).fit([raw])
    raw._data[4, 1280:1536] += 3e-4 * np.sin(raw.times[:256] * 9)  # [10, 12) s
    raw._data[:, 2560:2816] += 3e-4 * np.sin(raw.times[:256] * 9)  # [20, 22) s
    out = reject.transform(raw)
    marked = [(a["onset"], a["duration"]) for a in out.annotations if a["description"] == BAD]
    assert (20.0, 2.0) in marked
    assert (10.0, 2.0) not in marked
    y = out.get_data()
    assert np.abs(y[4, 1280:1536] - clean[4, 1280:1536]).max() < 6e-5
    np.testing.assert_array_equal(y[:, 2560:2816], raw.get_data()[:, 2560:2816])
    assert not any(a["description"] == BAD for a in raw.annotations)
    with pytest.raises(SignalError, match="1 whole segments of 2 s"):
        Autoreject().fit([raw.crop(0, 3)])
