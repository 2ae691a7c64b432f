"""The benchmark of cleaners: known answers, nothing twice, a clear line for what does not exist."""

import json
from collections.abc import Iterator
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from neurodecode.artifacts import CLEANERS
from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.evaluation import denoising as measure
from neurodecode.experiment import bench
from neurodecode.experiment.bench import make_trials, run_bench, simulated_people, summarize
from neurodecode.show.bench import show_bench


class Oracle:
    """Knows the answer."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def fit(self, raws: list[mne.io.BaseRaw]) -> "Oracle":
        return self

    def transform(self, raw: mne.io.BaseRaw) -> mne.io.BaseRaw:
        out = raw.copy()
        out._data *= self.factor
        return out


class Refuses(Oracle):
    def fit(self, raws: list[mne.io.BaseRaw]) -> "Oracle":
        raise SignalError("No.")


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"half": lambda: Oracle(0.5), "same": lambda: Oracle(1.0), "no": lambda: Refuses(1.0)}
    monkeypatch.setattr(CLEANERS, "get", lambda name: parts[name])


@pytest.fixture(scope="module")
def people() -> list[tuple[str, str, mne.io.BaseRaw]]:
    return list(simulated_people(2, sfreq=128.0, duration=20.0))


def trials(people: list[tuple[str, str, mne.io.BaseRaw]]) -> Iterator[list[bench.Trial]]:
    return make_trials(iter(people), kinds=["eog"], snr=[-5.0], snr_convention="power")


def test_ratio_is_as_asked(people: list[tuple[str, str, mne.io.BaseRaw]]) -> None:
    for one in trials(people):
        untouched, dirty = one
        np.testing.assert_array_equal(untouched.noisy.get_data(), untouched.clean)
        artifact = dirty.noisy.get_data() - dirty.clean
        present = measure.contaminated(artifact, 128.0)
        assert 0.2 < present.mean() < 0.8
        ratio = measure.snr(dirty.noisy.get_data()[:, present], dirty.clean[:, present])
        assert -7 < ratio < -3


def test_known_answers_nothing_twice_and_reasons(
    people: list[tuple[str, str, mne.io.BaseRaw]],
    stubs: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cleaners = {"none": {}, "same": {}, "half": {}, "no": {}}
    rows = run_bench(trials(people), cleaners, tmp_path)
    assert len(rows) == 2 * 2 * 4
    quiet = rows[rows["kind"] == "none"].set_index("cleaner")
    assert quiet.loc["none", "rrmse"].max() == 0
    np.testing.assert_allclose(quiet.loc["half", "rrmse"].to_numpy(float), 0.5, atol=0.01)
    np.testing.assert_allclose(quiet.loc["half", "gain"].to_numpy(float), 0.5, atol=0.01)
    np.testing.assert_allclose(quiet.loc["half", "alpha"].to_numpy(float), -6.02, atol=0.1)
    dirty = rows[rows["kind"] == "eog"].set_index("cleaner")
    pd.testing.assert_series_equal(
        dirty.loc["same", "rrmse"], dirty.loc["none", "rrmse"], check_index=False
    )
    assert (rows.loc[rows["cleaner"] == "no", "error"] == "SignalError: No.").all()

    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(bench, "measures", never)
    again = run_bench(trials(people), cleaners, tmp_path)
    pd.testing.assert_frame_equal(again, rows)
    show_bench(rows, title="two SIMULATED", convention="power", export=None, as_json=False)
    assert "could not clean 4 of 4" in capsys.readouterr().out
    show_bench(rows, title="two", convention="power", export=tmp_path / "r.csv", as_json=True)
    assert json.loads(capsys.readouterr().out)["n_people"] == 2
    assert len(pd.read_csv(tmp_path / "r.csv")) == len(rows)


def test_people_are_the_unit_of_the_interval() -> None:
    """Twice the trials of each person do not make the interval shorter."""
    one = pd.DataFrame({
        "subject": ["a", "b", "c"], "cleaner": "x", "kind": "eog", "error": "",
        "rrmse": [1.0, 2.0, 3.0],
    })  # fmt: skip
    first, second = (
        summarize(rows, ["kind"], "rrmse") for rows in (one, pd.concat([one, one, one]))
    )
    pd.testing.assert_frame_equal(first, second)
    assert first.loc[0, "n"] == 3
    assert first.loc[0, "high"] == pytest.approx(2 + 4.303 / 3**0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("choices", "error", "words"),
    [
        ({"cleaners": ["asrr"]}, UnknownName, "asr"),
        ({"kinds": ["ecg"]}, UnknownName, "eog"),
        ({"snr": ["loud"]}, ConfigError, "number of dB"),
        ({"snr_convention": "db"}, UnknownName, "power"),
        ({"sets": ["asr=3"]}, ConfigError, "CLEANER.OPTION"),
        ({"cleaners": ["asr"], "sets": ["asr.cutof=3"]}, UnknownName, "cutoff"),
        ({"duration": 3.0}, ConfigError, "20 s"),
    ],
)
def test_what_does_not_exist(
    choices: dict[str, object], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        bench.bench(**{"cleaners": None, "runs": tmp_path, **choices})  # type: ignore[arg-type]
