"""Cleaning a file: what is kept, what is written, and that the recording stays as it is."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

import mne
import numpy as np
import pytest

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.recording import brain_channels, signal_of
from neurodecode.artifacts.removed import measure
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.core.errors import ConfigError, SignalError, StoreError, UnknownName
from neurodecode.core.registry import Listing
from neurodecode.experiment.clean import clean_file, read_sets
from neurodecode.experiment.outputs import staged
from neurodecode.recordings.edf import write_edf
from neurodecode.recordings.read import read_raw
from neurodecode.recordings.write import write_raw
from neurodecode.show.clean_report import page

SFREQ = 128.0
FIXTURES = [
    "mne/io/edf/tests/data/test.edf",
    "mne/io/edf/tests/data/test.bdf",
    "mne/io/brainvision/tests/data/test.vhdr",
    "mne-testing-data/EEGLAB/test_raw.set",
    "mne/io/brainvision/tests/data/test_bin_raw.fif",
]


class Scale(Stepwise):
    """Takes away a share of everything: what it does is known."""

    def __init__(self, *, share: float = 0.5) -> None:
        self.share = share

    def fit(self, raws: Any) -> "Scale":
        self.ch_names_ = tuple(brain_channels(raws[0]))
        self.sfreq_ = float(raws[0].info["sfreq"])
        self.level_ = float(signal_of(raws[0], self.ch_names_).std())
        return self

    def step(self, x: Any, state: Any) -> Any:
        return (1 - self.share) * x, state


@pytest.fixture(autouse=True)
def scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cleaner called "scale"."""
    listing = Listing("neurodecode.artifacts.stepwise", "")
    monkeypatch.setitem(CLEANERS._listings, "scale", listing)
    monkeypatch.setitem(CLEANERS._parts, "scale", Scale)


def recording(seconds: float = 8.0, *, flat: str = "", nan: str = "", seed: int = 0) -> Any:
    """Five EEG channels, an EOG and a trigger channel, with what a header may hold."""
    names = ["Fp1", "C3", "C4", "O2", "Pz", "VEOG", "STI1"]
    n = round(seconds * SFREQ)
    rng = np.random.default_rng(seed)
    x = 1e-5 * rng.standard_normal((len(names), n)).cumsum(axis=1)
    x -= x.mean(axis=1, keepdims=True)
    x[6] = np.arange(n) % 7 == 0
    if flat:
        x[names.index(flat)] = 3e-6
    if nan:
        x[names.index(nan), 5] = np.nan
    kinds = ["eeg"] * 5 + ["eog", "stim"]
    raw = mne.io.RawArray(x, mne.create_info(names, SFREQ, kinds), verbose="ERROR")
    raw.set_meas_date(datetime.datetime(2011, 3, 4, 5, 6, 7, tzinfo=datetime.UTC))
    raw.info["subject_info"] = {"his_id": "S 7", "sex": 2, "hand": 1, "first_name": "Zoé"}
    raw.info["bads"] = ["C4"]
    when = raw.info["meas_date"]
    raw.set_annotations(mne.Annotations([1.5, 3.0], [0.0, 2.0], ["tone", "BAD_x"], when))
    return raw.set_montage("standard_1020", on_missing="ignore", verbose="ERROR")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in_raw.fif"
    recording().save(path, verbose="ERROR")
    return path


def run(source: Path, out: Path, **choices: Any) -> Any:
    return clean_file(source, out, **{"method": "scale", **choices})


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["out.fif", "out_raw.fif", "out.fif.gz", "out.edf", "OUT.EDF"])
def test_what_a_recording_holds_besides_signal_is_kept(source: Path, name: str) -> None:
    before, sha = read_raw(source), digest(source)
    cleaned = run(source, source.with_name(name))
    after = read_raw(source.with_name(name))
    assert digest(source) == sha
    assert after.ch_names == before.ch_names
    assert after.get_channel_types() == before.get_channel_types()
    assert after.n_times == before.n_times
    assert after.info["sfreq"] == before.info["sfreq"]
    assert after.info["meas_date"] == before.info["meas_date"]
    assert after.info["subject_info"]["sex"] == 2
    marks = dict(zip(after.annotations.description, after.annotations.onset, strict=True))
    assert marks["tone"] == pytest.approx(1.5, abs=1e-4)
    assert marks["BAD_x"] == pytest.approx(3.0, abs=1e-4)
    if name.lower().endswith("edf"):
        assert marks["channel C4 marked bad"] == 0
        assert "no list of bad channels: C4" in " ".join(cleaned.warnings)
    else:
        assert after.info["bads"] == ["C4"]
        assert "scale" in after.info["description"]
        np.testing.assert_allclose(after.info["chs"][0]["loc"], before.info["chs"][0]["loc"])


@pytest.mark.parametrize(("suffix", "error"), [(".fif", 1e-10), (".edf", 0.05e-6)])
def test_bad_and_other_channels_are_untouched_and_the_rest_is_cleaned(
    source: Path, suffix: str, error: float
) -> None:
    cleaned = run(source, source.with_name("out" + suffix))
    before, after = read_raw(source), read_raw(source.with_name("out" + suffix))
    assert cleaned.passed_over == {"C4": "marked bad", "VEOG": "eog", "STI1": "stim"}
    for name in cleaned.passed_over:
        x, y = before.get_data(name), after.get_data(name)
        np.testing.assert_allclose(y, x, atol=error if name != "STI1" else 1e-12)
    assert cleaned.removed.share((2.0, 60.0)) == pytest.approx(0.25, rel=0.05)
    assert cleaned.removed.change((4.0, 8.0)) == pytest.approx(-6.02, abs=0.3)


def test_removed_and_cleaned_add_up_to_the_recording(source: Path) -> None:
    out, rest = source.with_name("out.fif"), source.with_name("rest.fif")
    run(source, out, removed=rest)
    total = read_raw(out).get_data() + read_raw(rest).get_data()
    np.testing.assert_allclose(total, read_raw(source).get_data(), atol=1e-10)
    assert not read_raw(rest).get_data(["C4", "VEOG", "STI1"]).any()


@pytest.mark.parametrize("suffix", [".fif", ".edf"])
def test_dead_channels_are_marked_bad_and_stay(tmp_path: Path, suffix: str) -> None:
    recording(flat="O2", nan="C3").save(tmp_path / "in_raw.fif", verbose="ERROR")
    out = tmp_path / f"out{suffix}"
    cleaned = run(tmp_path / "in_raw.fif", out, removed=tmp_path / "rest.fif")
    assert cleaned.warnings[0] == "Marked bad and passed over: C3 (not finite), O2 (flat)."
    assert cleaned.removed.ch_names == ("Fp1", "Pz")
    before, after = read_raw(tmp_path / "in_raw.fif"), read_raw(out)
    assert np.isfinite(read_raw(tmp_path / "rest.fif").get_data()).all()
    x, y = before.get_data("C3"), after.get_data("C3")
    if suffix == ".fif":
        assert after.info["bads"] == ["C4", "C3", "O2"]
        np.testing.assert_array_equal(y, x)
    else:
        assert "C3 hold 0 there" in " ".join(cleaned.warnings)
        np.testing.assert_allclose(y, np.nan_to_num(x), atol=5e-8)
    # The drift of the others is kept from the cleaner although one channel is not finite.
    alone = run(tmp_path / "in_raw.fif", tmp_path / "alone.fif", drop=["C3"])
    np.testing.assert_allclose(
        cleaned.after.get_data("Fp1"), alone.after.get_data("Fp1"), atol=1e-12
    )


def test_a_cleaner_can_be_fitted_to_another_recording(source: Path) -> None:
    other = source.with_name("rest_raw.fif")
    calm = recording(20, seed=3, flat="O2")
    calm._data[:6] *= 0.1
    calm.save(other, verbose="ERROR")
    own = run(source, source.with_name("a.fif"))
    cleaned = run(source, source.with_name("b.fif"), fit_on=[other])
    assert cleaned.cleaner.level_ < 0.5 * own.cleaner.level_
    assert cleaned.fitted_to == (other,)
    assert cleaned.passed_over["O2"] == "flat"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.drop_channels(["O2"]), "lacks O2, which the recording to clean has"),
        (lambda raw: raw.resample(100), "is sampled at 100 Hz, the recording to clean at 128 Hz"),
    ],
)
def test_a_recording_to_fit_to_must_be_alike(source: Path, change: Any, words: str) -> None:
    other = source.with_name("other_raw.fif")
    change(recording()).save(other, verbose="ERROR")
    with pytest.raises(SignalError, match=words):
        run(source, source.with_name("out.fif"), fit_on=[other])
    assert not source.with_name("out.fif").exists()


def test_channels_can_be_dropped_and_marked_bad(source: Path) -> None:
    cleaned = run(source, source.with_name("out.fif"), drop=["VEOG"], bad=["O2"])
    after = read_raw(source.with_name("out.fif"))
    assert "VEOG" not in after.ch_names
    assert after.info["bads"] == ["C4", "O2"]
    assert cleaned.removed.ch_names == ("Fp1", "C3", "Pz")
    for choice in ({"drop": ["Fp3"]}, {"bad": ["Fp3"]}):
        with pytest.raises(UnknownName, match="No channel of this recording is called 'Fp3'"):
            run(source, source.with_name("x.fif"), **choice)


def test_options_go_to_the_cleaner(source: Path) -> None:
    cleaned = run(source, source.with_name("out.fif"), options=read_sets(["share = 1"]))
    assert cleaned.removed.share((2.0, 60.0)) == pytest.approx(1, rel=0.05)
    assert any("of the power below 30 Hz was removed" in text for text in cleaned.warnings)
    with pytest.raises(UnknownName, match="Did you mean 'share'"):
        run(source, source.with_name("x.fif"), options={"shar": 1})
    with pytest.raises(ConfigError, match="--set share lacks a value: write --set option=value"):
        read_sets(["share"])


def test_nothing_removed_is_said(source: Path) -> None:
    cleaned = run(source, source.with_name("out.fif"), options={"share": 0.0}, report=None)
    assert any("Nothing was removed" in text for text in cleaned.warnings)
    assert cleaned.removed.share() == 0
    assert "Least was removed here" in page(cleaned)


def test_a_failure_while_writing_leaves_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for failure in (OSError(28, "No space left on device"), KeyboardInterrupt()):

        def fail(raw: Any, path: Path, failure: BaseException = failure) -> list[str]:
            path.write_bytes(b"half")
            raise failure

        monkeypatch.setattr("neurodecode.experiment.clean.write_raw", fail)
        with pytest.raises((StoreError, KeyboardInterrupt)):
            run(source, source.with_name("out.fif"))
        assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_a_file_is_replaced_only_when_all_are_written(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old")

    def fail() -> None:
        with staged([old, new]) as place:
            place[old].write_text("other")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert old.read_text() == "old"
    with staged([old, new]) as place:
        place[old].write_text("other")
        place[new].write_text("new")
    assert (old.read_text(), new.read_text()) == ("other", "new")
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", FIXTURES)
@pytest.mark.parametrize("suffix", [".fif", ".edf"])
def test_every_format_is_cleaned_and_read_again(
    real: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    source = real / "reader-fixtures" / name
    sha, before = digest(source), read_raw(source)
    many = [n for n, k in zip(before.ch_names, before.get_channel_types(), strict=True)
            if k == "eeg"][8:]  # fmt: skip
    # Eight channels are enough, and some of these files hold test signals in other units.
    cleaned = run(source, tmp_path / f"out{suffix}", drop=many, removed=tmp_path / f"r{suffix}")
    assert digest(source) == sha
    after = read_raw(tmp_path / f"out{suffix}")
    assert after.ch_names == cleaned.after.ch_names
    padded = after.n_times - before.n_times
    assert 0 <= padded <= 60 * before.info["sfreq"]
    assert bool(padded) == any("BAD_ACQ_SKIP" in text for text in cleaned.warnings)
    assert after.info["sfreq"] == pytest.approx(before.info["sfreq"], rel=1e-6)
    date, again = before.info["meas_date"], after.info["meas_date"]
    if date is not None and "EDF knows" not in str(cleaned.warnings):
        assert abs((again - date).total_seconds()) < (1 if suffix == ".edf" else 1e-3)
    marks = [(m["description"], m["onset"] - after.first_time) for m in after.annotations]
    for mark in before.annotations:
        name, onset = mark["description"], mark["onset"] - before.first_time
        near = [t for words, t in marks if words == name and abs(t - onset) < 1e-3]
        assert near, (name, onset, marks)
    steps = 1e-9 if suffix == ".fif" else 1e-6 * max(0.05, _rounding(cleaned.after))
    x = cleaned.after.get_data(cleaned.removed.ch_names)
    y = after.get_data(cleaned.removed.ch_names)[:, : before.n_times]
    np.testing.assert_allclose(y, x, atol=steps, rtol=1e-6)


def _rounding(raw: Any) -> float:
    """Error of 16 bits, uV."""
    return float(1e6 * np.nanmax(np.ptp(raw.get_data("eeg"), axis=1)) / 4 / 32767 * 1.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.set_meas_date(datetime.datetime(1979, 1, 2, tzinfo=datetime.UTC)),
         "EDF knows the years 1985 to 2084; 1979-01-02 was left out"),
        (lambda raw: raw.apply_function(lambda x: x + np.linspace(0, 0.05, len(x)), ["Fp1"]),
         "1 channels are rounded by more than 0.05 uV (Fp1 by up to 0.38 uV). Write .fif"),
        (lambda raw: raw.crop(0, 1022 / SFREQ), "samples were added at the end"),
        (lambda raw: raw.rename_channels({"VEOG": "E1"}), "does not keep the type of E1 (eog)"),
    ],
)  # fmt: skip
def test_what_edf_cannot_keep_is_said(tmp_path: Path, change: Any, words: str) -> None:
    raw = recording()
    change(raw)
    assert words in " ".join(write_edf(raw, tmp_path / "out.edf"))
    again = read_raw(tmp_path / "out.edf")
    np.testing.assert_allclose(
        again.get_data(["C3"])[:, : raw.n_times], raw.get_data(["C3"]), atol=5e-8
    )


@pytest.mark.parametrize("sfreq", [128.0, 127.5, 512 / 3, 1000 / 7, 250.0, 97.123456])
@pytest.mark.parametrize("n_times", [997, 1000, 1024])
def test_edf_keeps_rate_and_length(tmp_path: Path, sfreq: float, n_times: int) -> None:
    x = 1e-5 * np.random.default_rng(0).standard_normal((1, n_times))
    raw = mne.io.RawArray(x, mne.create_info(["Cz"], sfreq, "eeg"), verbose="ERROR")
    said = " ".join(write_raw(raw, tmp_path / "out.edf"))
    again = read_raw(tmp_path / "out.edf")
    assert again.info["sfreq"] == pytest.approx(sfreq, rel=1e-5)
    if abs(again.info["sfreq"] / sfreq - 1) > 1e-6:
        assert "exactly" in said
    assert (again.n_times == n_times) == ("samples were added" not in said)
    np.testing.assert_allclose(again.get_data()[:, :n_times], x, atol=5e-8)


def test_names_that_edf_cannot_hold_are_refused_before_the_work(source: Path) -> None:
    raw = recording()
    raw.rename_channels({"O2": "a channel with a long name"})
    raw.save(source, overwrite=True, verbose="ERROR")
    with pytest.raises(ConfigError, match="EDF names channels in 16 ASCII characters"):
        run(source, source.with_name("out.edf"))


def test_where_most_and_least_was_removed_is_found() -> None:
    before = recording(60)
    after = before.copy()
    after._data[0, 2560:2816] += 1e-4 * np.sin(np.arange(256))  # 20 to 22 s
    after._data[0, 5120:5248] += 1e-4 * np.sin(np.arange(128))  # 40 to 41 s
    removed = measure(before, after, ["Fp1", "C3"])
    most, least = removed.stretches(2, 5.0)
    assert most[0] <= 20 <= 22 <= most[0] + 5
    assert most[1] <= 40 <= 41 <= most[1] + 5
    assert all(abs(least - start) >= 5 for start in most)
    assert removed.share_of_time == pytest.approx(3 / 60, rel=0.05)
    assert removed.most_changed(1)[0][0] == "Fp1"
    assert removed.shares()[1] == 0


def test_the_report_is_one_page_without_a_network(source: Path) -> None:
    report = source.with_name("out.html")
    run(source, source.with_name("out.fif"), report=report, draw=page)
    text = report.read_text(encoding="utf-8")
    for words in (
        "in_raw.fif, cleaned with scale", "Most was removed here", "Power (dB re 1", "Time (s)",
        "Frequency (Hz)", "\u00b5V", "delta", "Removed (% of power)", "marked bad", "neurodecode",
        "prefers-color-scheme:dark", "<td>Fp1</td>", "level",
    ):  # fmt: skip
        assert words in text, words
    assert "#010203" not in text
    assert "src=" not in text
    assert "<script" not in text
    assert "url(http" not in text


def test_a_report_escapes_what_it_quotes(source: Path) -> None:
    wild = source.with_name("<b>&.fif")
    source.rename(wild)
    text = page(run(wild, wild.with_name("out.fif")))
    assert "<b>&.fif" not in text
    assert "&lt;b&gt;&amp;.fif" in text


def test_without_positions_the_report_says_so(source: Path) -> None:
    raw = recording()
    raw.rename_channels({"Fp1": "x1", "C3": "x2", "C4": "x3", "O2": "x4", "Pz": "x5"})
    raw.set_montage(None)
    raw.save(source, overwrite=True, verbose="ERROR")
    text = page(run(source, source.with_name("out.fif")))
    assert "Not drawn: fewer than 4 cleaned channels have a position." in text


def test_a_recording_of_a_second_is_measured_and_drawn(source: Path) -> None:
    recording(1.0).set_annotations(None).save(source, overwrite=True, verbose="ERROR")
    cleaned = run(source, source.with_name("out.fif"))
    assert np.isfinite(cleaned.removed.shares()).all()
    assert "0.0 to 1.0 s" in page(cleaned)


def test_a_start_between_seconds_does_not_move_annotations_in_edf(tmp_path: Path) -> None:
    raw = recording()
    raw.set_meas_date(datetime.datetime(2011, 3, 4, 5, 6, 7, 815463, tzinfo=datetime.UTC))
    raw.set_annotations(mne.Annotations([1.5], [0.0], ["tone"], raw.info["meas_date"]))
    write_edf(raw, tmp_path / "out.edf")
    marks = read_raw(tmp_path / "out.edf").annotations
    assert marks.onset[marks.description == "tone"] == pytest.approx(1.5, abs=1e-4)


def test_components_that_were_taken_out_are_shown(source: Path) -> None:
    cleaned = run(source, source.with_name("out.fif"))
    cleaner: Any = cleaned.cleaner
    n = len(cleaner.ch_names_)
    cleaner.maps_, cleaner.removed_ = np.eye(n), (1, 2)
    cleaner.labels_, cleaner.scores_ = ("brain", "eye", "muscle", "brain"), np.full(n, 0.9)
    text = page(cleaned)
    assert "1: eye (0.90)" in text
    assert "2: muscle (0.90)" in text
    assert "0: brain" not in text
