"""Every format gives volts, 10-05 names and events at the right sample; every bad file one line."""

import gzip
import logging
import re
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import mne
import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.recordings.arrays import volts_in
from neurodecode.recordings.montage import add_positions, cap_1005, tidy_channel_names, tidy_name
from neurodecode.recordings.read import read_raw

SFREQ = 200.0
GIVEN = {"unit": "uV", "sfreq": 10}  # what a caller must say of text
NAMES = ["Fz", "C3", "Cz", "C4"]
AMPLITUDES = np.array([10e-6, 20e-6, 30e-6, 40e-6])  # V, of a sine in each channel


def sines(n_times: int = 1000) -> np.ndarray:
    """A 10 Hz sine in each channel, (n_chans, n_times) volts."""
    return AMPLITUDES[:, None] * np.sin(2 * np.pi * 10 * np.arange(n_times) / SFREQ)


def recording(ch_names: Sequence[str] = NAMES) -> mne.io.BaseRaw:
    """The sines with a marker at sample 300 and one at sample 500."""
    raw = mne.io.RawArray(sines(), mne.create_info(list(ch_names), SFREQ, "eeg"))
    return raw.set_annotations(mne.Annotations([1.5, 2.5], 0.0, ["left", "right"]))


def write(raw: mne.io.BaseRaw, path: Path) -> Path:
    """The recording in the format that the suffix names."""
    if path.suffix == ".fif":
        raw.save(path)
    elif path.suffix == ".csv":
        table = np.column_stack([raw.times, 1e6 * raw.get_data().T, np.zeros(raw.n_times)])
        table[[300, 500], -1] = 1, 2
        np.savetxt(path, table, "%.6f", ",", header="time,Fz,C3,Cz,C4,Marker0", comments="")
    else:
        mne.export.export_raw(path, raw)
    return path


@pytest.fixture(params=["edf", "bdf", "vhdr", "fif"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(recording(), tmp_path / f"some_raw.{request.param}")


# What a file gives


def test_a_file_gives_back_volts_names_and_events(written: Path) -> None:
    raw = read_raw(written)
    assert raw.ch_names == NAMES
    assert raw.info["sfreq"] == SFREQ
    np.testing.assert_allclose(raw.get_data(), sines(), atol=0.1e-6)
    events, ids = mne.events_from_annotations(raw)
    samples = {name: events[events[:, 2] == code, 0].tolist() for name, code in ids.items()}
    assert {name.split("/")[-1]: s for name, s in samples.items() if "New" not in name} == {
        "left": [300], "right": [500],
    }  # fmt: skip


def test_channels_stand_where_the_cap_has_them(written: Path) -> None:
    montage = read_raw(written).get_montage()
    assert montage is not None
    places = montage.get_positions()["ch_pos"]
    assert places["C3"][0] < 0 < places["C4"][0]
    assert places["Fz"][1] > places["Cz"][1]


@pytest.mark.parametrize("date", [None, 1000])
def test_a_part_of_a_recording_counts_from_its_first_sample(
    tmp_path: Path, date: int | None
) -> None:
    raw = recording().set_meas_date(date).crop(1.0, 4.0)
    raw = read_raw(write(raw, tmp_path / "a_raw.fif"))
    assert raw.first_samp == 0
    assert mne.events_from_annotations(raw)[0][:, 0].tolist() == [100, 300]
    when = raw.info["meas_date"]
    assert (when and when.timestamp()) == (None if date is None else date + 1)
    np.testing.assert_allclose(raw.get_data(), sines()[:, 200:801], atol=1e-11)


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    write(recording(), tmp_path / "a_raw.fif")
    packed = tmp_path / "a_raw.fif.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a_raw.fif").read_bytes()))
    np.testing.assert_allclose(read_raw(packed).get_data(), sines(), atol=1e-11)


@pytest.mark.parametrize(
    ("file", "n_chans", "sfreq", "rms"),
    [
        ("mne/io/brainvision/tests/data/test.vhdr", 32, 1000, 28e-6),
        ("mne/io/edf/tests/data/test.edf", 139, 512, 194e-6),
        ("mne-testing-data/EDF/test_reduced.edf", 139, 512, 194e-6),
        ("mne-testing-data/BDF/test_bdf_stim_channel.bdf", 4, 500, 4.1e-3),  # with its offset
        ("mne-testing-data/EEGLAB/test_raw.set", 32, 128, 25e-6),
        ("mne-testing-data/EEGLAB/test_raw_h5.set", 32, 128, 25e-6),
        ("mne-testing-data/GDF/test_1ch.gdf", 1, 150, 83e-6),
        ("mne/io/nicolet/tests/data/test_nicolet_raw.data", 29, 256, 142e-6),
        ("mne/io/egi/tests/data/test_egi.raw", 262, 250, 19e-3),
    ],
)
def test_original_files_are_read_in_volts(
    real: Path, file: str, n_chans: int, sfreq: float, rms: float
) -> None:
    raw = read_raw(real / "reader-fixtures" / file)
    assert (len(raw.ch_names), raw.info["sfreq"]) == (n_chans, sfreq)
    picks = mne.pick_types(raw.info, eeg=True, ecg=True)
    assert raw.get_data(picks).std() == pytest.approx(rms, rel=0.1)


def test_eeglab_sample_keeps_its_own_positions_and_events(real: Path) -> None:
    path = real / "eeglab-sample" / "eeglab_data.set"
    raw = read_raw(path)
    assert {"Fpz", "Fz", "Cz"} <= set(raw.ch_names)
    assert raw.get_channel_types(["EOG1", "EOG2"]) == ["eog", "eog"]
    assert sorted(set(raw.annotations.description)) == ["rt", "square"]
    own = mne.io.read_raw_eeglab(path).get_montage().get_positions()["ch_pos"]["Cz"]
    np.testing.assert_allclose(raw.get_montage().get_positions()["ch_pos"]["Cz"], own)


def test_motor_imagery_file_loses_its_dots(real: Path) -> None:
    raw = read_raw(real / "eegmmidb/MNE-eegbci-data/files/eegmmidb/1.0.0/S001/S001R04.edf")
    assert {"FC5", "C3", "Cz", "Iz", "AFz", "Fp1"} <= set(raw.ch_names)
    assert len(raw.get_montage().ch_names) == 64
    assert raw.annotations.description[:2].tolist() == ["T0", "T2"]
    assert 20e-6 < raw.get_data().std() < 100e-6


# Names, types, positions


@pytest.mark.parametrize(
    ("given", "tidy"),
    [
        ("EEG Fp1", "Fp1"), ("EEG FP1-REF", "Fp1"), ("EEG FP1-LE", "Fp1"), ("Fc5.", "FC5"),
        ("Iz..", "Iz"), ("FCZ", "FCz"), ("T3", "T7"), ("EEG T6-Ref", "P8"), ("ECG ECG", "ECG"),
        ("EEG A2-A1", "A2-A1"), ("FP1-F7", "FP1-F7"), ("EEG 001", "EEG 001"),
        ("EOG-left", "EOG-left"), (" Cz ", "Cz"), ("Right AUX", "Right AUX"),
    ],
)  # fmt: skip
def test_a_name_is_spelled_as_in_the_10_05_system(given: str, tidy: str) -> None:
    assert tidy_name(given) == tidy


def test_names_tell_types() -> None:
    names = ["Cz", "HEOG", "EOG-left", "ECG ECG", "EMG1", "Status", "A2-A1", "Right AUX", "Foo"]
    raw = mne.io.RawArray(np.zeros((9, 10)), mne.create_info(names, SFREQ, "eeg"))
    types = tidy_channel_names(raw).get_channel_types()
    assert types == ["eeg", "eog", "eog", "ecg", "emg", "stim", "misc", "misc", "eeg"]


def test_names_that_would_collide_stay() -> None:
    raw = mne.io.RawArray(
        np.zeros((3, 10)), mne.create_info(["Cz-REF", "Cz-LE", "PZ"], SFREQ, "eeg")
    )
    assert tidy_channel_names(raw).ch_names == ["Cz-REF", "Cz-LE", "Pz"]


def test_unknown_names_and_counted_caps_get_no_position() -> None:
    raw = mne.io.RawArray(np.zeros((4, 10)), mne.create_info(["Cz", "A1", "A3", "X"], SFREQ, "eeg"))
    assert add_positions(raw).get_montage().ch_names == raw.ch_names
    has_place = [bool(np.isfinite(ch["loc"][:3]).all()) for ch in raw.info["chs"]]
    assert has_place == [True, False, False, False]


def test_the_cap_has_the_renamed_sites_at_one_place() -> None:
    places = cap_1005().get_positions()["ch_pos"]
    np.testing.assert_array_equal(places["T3"], places["T7"])
    np.testing.assert_array_equal(places["T6"], places["P8"])


@pytest.mark.parametrize("unit", ["uV", "µV", "μV", "microvolts", "Microvolt", " uv"])
def test_microvolts_have_many_spellings(unit: str) -> None:
    assert volts_in(unit) == 1e-6


# Text


def test_columns_with_a_marker_become_volts_and_events(tmp_path: Path) -> None:
    raw = read_raw(write(recording(), tmp_path / "a.csv"), unit="uV")
    assert raw.ch_names == NAMES
    assert raw.info["sfreq"] == SFREQ
    np.testing.assert_allclose(raw.get_data(), sines(), atol=1e-11)
    assert raw.annotations.description.tolist() == ["1", "2"]
    assert mne.events_from_annotations(raw)[0][:, 0].tolist() == [300, 500]


def test_a_marker_that_lasts_is_one_event(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("Cz\tstim\n" + "".join(f"1\t{m}\n" for m in [0, 3, 3, 3, 0, 3, 4, 0]))
    raw = read_raw(path, sfreq=10, unit="uV")
    assert (10 * raw.annotations.onset).tolist() == [1, 5, 6]
    assert raw.annotations.description.tolist() == ["3", "3", "4"]


@pytest.mark.parametrize(
    "text", ["1\n-2\n3\n", "1 \n-2 \n3 ", "\n# said by\n1\n-2\n3\n", "a\n1\n-2\n3"]
)
def test_one_number_a_line_is_one_channel(tmp_path: Path, text: str) -> None:
    (tmp_path / "Z001.TXT").write_text(text)
    raw = read_raw(tmp_path / "Z001.TXT", sfreq=173.61, ch_names=["EEG"], unit="uV")
    np.testing.assert_allclose(raw.get_data(), [[1e-6, -2e-6, 3e-6]])


def test_pauses_in_the_time_stamps_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    time = np.concatenate([np.arange(100), 150 + np.arange(100)]) / 100
    np.savetxt(tmp_path / "a.csv", np.column_stack([time, time]), delimiter=",", header="time,Cz")
    raw = read_raw(
        tmp_path / "a.csv", sfreq=100, unit="V", ch_names=["timestamps", "Cz"]
    )  # "# time,Cz" is a comment
    assert raw.n_times == 200
    assert "1 gaps in the time stamps, the longest 0.51 s" in caplog.text


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("Cz\n1\n", {"sfreq": 10}, "does not say its unit. Give unit: V, mV, uV or nV"),
        ("Cz\n1\n", {"unit": "uV"}, "does not say its sampling rate. Give sfreq"),
        ("1 2\n3 4\n", GIVEN, "without a header. Give ch_names, one for each of its 2"),
        ("1 2\n", GIVEN | {"ch_names": ["Cz"]}, r"2 columns, but 1 names \(Cz\)"),
        ("Cz,Cz\n1,2\n", GIVEN, "more than one channel called 'Cz'. Give ch_names"),
        ("Cz,Pz\n1,2\n1\n", GIVEN, "not columns of numbers .* same number of columns"),
        ("Cz,Pz\n1,b\n", GIVEN, "not columns of numbers .*decimals with a point"),
        ("Cz\n1\nnan\n", GIVEN, "not numbers .first: channel 'Cz', sample 1"),
        ("Cz\n", GIVEN, "holds no samples"),
        ("time,Cz\n1,2\n1,3\n", {"unit": "uV"}, "time stamps do not advance. Give sfreq"),
        ("Cz\n1\n", {"unit": "uV", "sfreq": -1}, "sampling rate of -1 Hz cannot be"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read_says_why(
    tmp_path: Path, text: str, options: dict, message: str
) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(RecordingError, match=message):
        read_raw(tmp_path / "a.csv", **options)


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Cz\n1\n")
    with pytest.raises(UnknownName, match="No unit of voltage is called 'uA'"):
        read_raw(tmp_path / "a.csv", sfreq=10, unit="uA")


# Facts given by the caller


def test_a_wrong_rate_is_refused(written: Path) -> None:
    assert read_raw(written, sfreq=SFREQ).info["sfreq"] == SFREQ
    with pytest.raises(RecordingError, match="recorded at 200 Hz, not at 250 Hz"):
        read_raw(written, sfreq=250)


def test_names_given_replace_those_in_the_file(written: Path) -> None:
    assert read_raw(written, ch_names=["O1", "O2", "Pz", "Oz"]).ch_names == ["O1", "O2", "Pz", "Oz"]
    with pytest.raises(RecordingError, match="4 channels, but 1 names"):
        read_raw(written, ch_names=["O1"])


def test_only_formats_with_wrong_units_take_another(tmp_path: Path) -> None:
    fif, edf = write(recording(), tmp_path / "a_raw.fif"), write(recording(), tmp_path / "a.edf")
    np.testing.assert_allclose(read_raw(fif, unit="mV").get_data(), 1e-3 * sines(), atol=1e-12)
    with pytest.raises(ConfigError, match="states the unit of each channel. Leave it out"):
        read_raw(edf, unit="mV")


# Bad files


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="There is no file .*a.edf. Check the path"):
        read_raw(tmp_path / "a.edf")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a folder, not a recording"):
        read_raw(tmp_path)


SUFFIXES = ["edf", "bdf", "gdf", "vhdr", "set", "fif", "xdf", "txt", "csv", "cnt", "raw"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").touch()
    with pytest.raises(RecordingError, match="is empty"):
        read_raw(tmp_path / f"a.{suffix}", unit="uV", sfreq=10)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_junk(tmp_path: Path, suffix: str) -> None:
    junk = np.random.default_rng(0).integers(128, 256, 5000, dtype=np.uint8)
    (tmp_path / f"a.{suffix}").write_bytes(junk.tobytes())
    with pytest.raises(RecordingError, match=r"a\.\w+ (is not|cannot be read as)") as error:
        read_raw(tmp_path / f"a.{suffix}", unit="uV", sfreq=10)
    assert "\n" not in str(error.value)


def test_a_file_of_no_known_kind(tmp_path: Path) -> None:
    for name in ("a.docx", "a.mat", "a"):
        (tmp_path / name).write_bytes(b"some bytes")
        with pytest.raises(RecordingError, match="not read here. Convert it to one of: .bdf"):
            read_raw(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("suffix", ["edf", "bdf", "fif"])
def test_a_file_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    path = write(recording(), tmp_path / f"some_raw.{suffix}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RecordingError, match=r"cut short|damaged header|cannot be read as FIF"):
        read_raw(path)


def test_a_brainvision_file_cut_short(tmp_path: Path) -> None:
    path = write(recording(), tmp_path / "a.vhdr")
    data = tmp_path / "a.eeg"
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.raises(RecordingError, match=r"cut short: 'a.eeg' holds \d+ samples and a part"):
        read_raw(path)


@pytest.mark.parametrize(("partner", "what"), [("a.eeg", "data"), ("a.vmrk", "markers")])
def test_brainvision_without_its_partner(tmp_path: Path, partner: str, what: str) -> None:
    path = write(recording(), tmp_path / "a.vhdr")
    (tmp_path / partner).unlink()
    with pytest.raises(RecordingError, match=f"keeps its {what} in '{partner}', which is not"):
        read_raw(path)


@pytest.mark.parametrize("partner", ["a.eeg", "a.vmrk"])
def test_a_part_names_the_whole(tmp_path: Path, partner: str) -> None:
    write(recording(), tmp_path / "a.vhdr")
    with pytest.raises(RecordingError, match=r"part of a recording. Open .*a\.vhdr instead"):
        read_raw(tmp_path / partner)


def test_eeglab_without_its_fdt(real: Path, tmp_path: Path) -> None:
    shutil.copyfile(real / "eeglab-sample" / "eeglab_data.set", tmp_path / "eeglab_data.set")
    with pytest.raises(RecordingError, match=r"Put the .fdt file beside it"):
        read_raw(tmp_path / "eeglab_data.set")


def test_eeglab_epochs_are_no_recording(real: Path) -> None:
    with pytest.raises(RecordingError, match="holds epochs: export the continuous data set"):
        read_raw(real / "eeglab-sample" / "eeglab_data_epochs_ica.set")


@pytest.mark.parametrize(("true", "false"), [("edf", "bdf"), ("bdf", "edf"), ("fif", "edf")])
def test_a_wrong_suffix(tmp_path: Path, true: str, false: str) -> None:
    path = write(recording(), tmp_path / f"some_raw.{true}")
    with pytest.raises(RecordingError, match=rf"is not {false.upper()}: its first bytes"):
        read_raw(path.rename(path.with_suffix(f".{false}")))


def test_duplicate_names_in_a_file(real: Path) -> None:
    path = real / "reader-fixtures/mne/io/edf/tests/data/duplicate_channel_labels.edf"
    with pytest.raises(RecordingError, match="more than one channel called 'EEG F1-Ref'. Give ch"):
        read_raw(path)
    assert read_raw(path, ch_names=["F1", "F2", "F3"]).ch_names == ["F1", "F2", "F3"]


def test_what_mne_warns_of_is_logged(real: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = real / "reader-fixtures/mne/io"
    with caplog.at_level(logging.WARNING, "neurodecode"):
        read_raw(folder / "brainvision/tests/data/test_mixed_lowpass.vhdr")
        read_raw(folder / "edf/tests/data/test_uneven_samp.edf")
    assert "Channels contain different lowpass filters" in caplog.text
    assert "channels differ in sampling rate; all are brought to the highest" in caplog.text


# XDF


def chunk(tag: int, content: bytes) -> bytes:
    return b"\x04" + struct.pack("<IH", len(content) + 2, tag) + content


def header(
    number: int, *, name: str, kind: str, n: int, rate: float, form: str, desc: str = ""
) -> bytes:
    xml = (
        f"<info><name>{name}</name><type>{kind}</type><channel_count>{n}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format>"
        f"<desc>{desc}</desc></info>"
    )
    return chunk(2, struct.pack("<I", number) + xml.encode())


def samples(number: int, times: Sequence[float], values: Sequence[Sequence], form: str) -> bytes:
    body = struct.pack("<IBI", number, 4, len(times))
    for time, row in zip(times, values, strict=True):
        body += b"\x08" + struct.pack("<d", time)
        if form == "string":
            body += b"".join(b"\x01" + bytes([len(v)]) + v.encode() for v in row)
        else:
            body += np.asarray(row, {"float32": "<f4", "int32": "<i4"}[form]).tobytes()
    return chunk(3, body)


def clock_offsets(number: int, value: float) -> bytes:
    return b"".join(chunk(4, struct.pack("<Idd", number, t, value)) for t in (1.0, 3.0, 5.0, 7.0))


def described(labels: Sequence[str], unit: str) -> str:
    fields = "".join(
        f"<channel><label>{x}</label><unit>{unit}</unit><type>EEG</type></channel>" for x in labels
    )
    return f"<channels>{fields}</channels>"


def xdf(path: Path, *chunks: bytes) -> Path:
    path.write_bytes(b"XDF:" + chunk(1, b"<info><version>1.0</version></info>") + b"".join(chunks))
    return path


# A device that says 200 Hz and samples at 199, stamped with a jitter, on a clock 100 s behind.
N_SAMPLES = 1000
TRUE_TIMES = 2.0 + np.arange(N_SAMPLES) / 199
JITTER = np.random.default_rng(0).uniform(-2e-3, 2e-3, N_SAMPLES)


def eeg_stream(
    number: int = 1, *, unit: str = "microvolts", name: str = "amp", kind: str = "EEG"
) -> bytes:
    return (
        header(number, name=name, kind=kind, n=4, rate=SFREQ, form="float32",
               desc=described(NAMES, unit) if unit else "")
        + samples(number, TRUE_TIMES + JITTER - 100, 1e6 * sines().T, "float32")
        + clock_offsets(number, 100.0)
    )  # fmt: skip


MARKERS = (
    header(2, name="cues", kind="Markers", n=1, rate=0, form="string")
    + samples(
        2, [TRUE_TIMES[300], TRUE_TIMES[900], 99.0], [["left"], ["right"], ["late"]], "string"
    )
    + clock_offsets(2, 0.0)
)


def test_xdf_gives_volts_and_names(tmp_path: Path) -> None:
    raw = read_raw(xdf(tmp_path / "a.xdf", eeg_stream()))
    assert raw.ch_names == NAMES
    assert raw.info["sfreq"] == SFREQ
    np.testing.assert_allclose(raw.get_data(), sines(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(("unit", "volts"), [("V", 1.0), ("mV", 1e-3), ("µV", 1e-6)])
def test_xdf_states_its_unit(tmp_path: Path, unit: str, volts: float) -> None:
    raw = read_raw(xdf(tmp_path / "a.xdf", eeg_stream(unit=unit)))
    np.testing.assert_allclose(raw.get_data(), 1e6 * volts * sines(), rtol=1e-6, atol=1e-9)


def test_xdf_without_a_unit_is_microvolts_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = xdf(tmp_path / "a.xdf", eeg_stream(unit=""))
    assert read_raw(path).get_data().max() == pytest.approx(AMPLITUDES.max(), rel=0.01)
    assert "does not say its unit: taken as microvolts" in caplog.text
    assert read_raw(path, unit="mV").get_data().max() == pytest.approx(0.04, rel=0.01)


def test_xdf_markers_fall_on_the_sample_of_their_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raw = read_raw(xdf(tmp_path / "a.xdf", eeg_stream(), MARKERS))
    assert raw.annotations.description.tolist() == ["left", "right"]
    events = mne.events_from_annotations(raw)[0]
    np.testing.assert_allclose(events[:, 0], [300, 900], atol=1)  # the nominal rate says 302, 905
    assert "1 markers lie outside the EEG stream" in caplog.text


def test_xdf_codes_are_events(tmp_path: Path) -> None:
    codes = header(3, name="codes", kind="Stim", n=1, rate=0, form="int32")
    codes += samples(3, TRUE_TIMES[[10, 20]], [[7], [0]], "int32")
    raw = read_raw(xdf(tmp_path / "a.xdf", eeg_stream(), codes))
    assert raw.annotations.description.tolist() == ["7", "0"]


def test_xdf_pauses_are_boundaries(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    times = np.arange(N_SAMPLES) / SFREQ
    times[600:] += 5
    stream = header(1, name="amp", kind="EEG", n=4, rate=SFREQ, form="float32",
                    desc=described(NAMES, "uV"))  # fmt: skip
    stream += samples(1, times, 1e6 * sines().T, "float32")
    cue = header(2, name="cues", kind="Markers", n=1, rate=0, form="string")
    cue += samples(2, times[[700]], [["left"]], "string")
    raw = read_raw(xdf(tmp_path / "a.xdf", stream, cue))
    marks = {a["description"]: round(SFREQ * a["onset"]) for a in raw.annotations}
    assert marks == {"BAD boundary": 600, "EDGE boundary": 600, "left": 700}
    assert "pauses 1 times" in caplog.text


def test_xdf_finds_eeg_by_rate_where_no_type_says_it(tmp_path: Path) -> None:
    slow = header(5, name="battery", kind="", n=1, rate=10, form="float32")
    slow += samples(5, [1.0, 1.1], [[1], [2]], "float32")
    raw = read_raw(xdf(tmp_path / "a.xdf", slow, eeg_stream(kind="Signal"), MARKERS))
    assert raw.ch_names == NAMES


def test_xdf_with_two_candidates_asks(tmp_path: Path) -> None:
    path = xdf(tmp_path / "a.xdf", eeg_stream(1, name="left"), eeg_stream(4, name="right"))
    with pytest.raises(RecordingError, match="2 streams that may be the EEG: 'left' .EEG, 200 Hz"):
        read_raw(path)
    assert read_raw(path, stream="right").ch_names == NAMES


def test_xdf_without_eeg_says_what_it_holds(tmp_path: Path) -> None:
    path = xdf(tmp_path / "a.xdf", MARKERS)
    with pytest.raises(RecordingError, match=r"no EEG stream; it holds 'cues' \(Markers, 0 Hz, 3"):
        read_raw(path)
    with pytest.raises(RecordingError, match="no stream of samples called 'amp'"):
        read_raw(path, stream="amp")


def test_xdf_in_another_unit_is_refused(tmp_path: Path) -> None:
    path = xdf(tmp_path / "a.xdf", eeg_stream(unit="furlong"))
    with pytest.raises(RecordingError, match="states its unit as 'furlong', which is no voltage"):
        read_raw(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_xdf_cut_short_within_the_only_samples(tmp_path: Path, share: float) -> None:
    path = xdf(tmp_path / "a.xdf", eeg_stream(), MARKERS)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(RecordingError, match="is not a whole XDF file .* Copy it again"):
        read_raw(path)


def in_chunks(*, size: int = 50) -> list[bytes]:
    """A recording as it grows, one chunk after the other."""
    times = 2.0 + np.arange(N_SAMPLES) / SFREQ
    head = header(1, name="amp", kind="EEG", n=4, rate=SFREQ, form="float32",
                  desc=described(NAMES, "microvolts"))  # fmt: skip
    pieces = [slice(first, first + size) for first in range(0, N_SAMPLES, size)]
    values = 1e6 * sines().T
    head += clock_offsets(1, 0.0)
    return [head, *(samples(1, times[piece], values[piece], "float32") for piece in pieces)]


@pytest.mark.parametrize("n_bytes", [0, 1, 3, 6, 200])
def test_xdf_cut_off_is_read_up_to_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, n_bytes: int
) -> None:
    """Between two chunks, within the length of one, or within one."""
    chunks = in_chunks()
    path = xdf(tmp_path / "a.xdf", *chunks[:8], chunks[8][:n_bytes])
    raw = read_raw(path)
    assert raw.n_times == 350
    np.testing.assert_allclose(raw.get_data(), sines()[:, :350], rtol=1e-6, atol=1e-12)
    assert "has no proper end: it was cut off while it was recorded or copied" in caplog.text


def test_xdf_damaged_before_its_end_is_refused(tmp_path: Path) -> None:
    """A length that leads past the end, though there is more to read."""
    chunks = in_chunks()
    chunks[5] = b"\x04\xff\xff\xff\x7f" + chunks[5][5:]
    chunks.insert(9, chunk(5, bytes.fromhex("43A546DCCBF5410FB30ED5467383CBE4")))
    with pytest.raises(RecordingError, match="not a whole XDF file .a chunk before its end is dam"):
        read_raw(xdf(tmp_path / "a.xdf", *chunks))


def test_xdf_with_a_proper_end_is_read_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    footer = chunk(6, struct.pack("<I", 1) + b"<info><sample_count>1000</sample_count></info>")
    assert read_raw(xdf(tmp_path / "a.xdf", *in_chunks(), footer)).n_times == N_SAMPLES
    assert caplog.text == ""


def test_xdf_commands_of_the_live_loop_are_no_events(tmp_path: Path) -> None:
    said = header(2, name="neurodecode-commands", kind="Markers", n=1, rate=0, form="string")
    said += samples(2, [TRUE_TIMES[300]], [["left"]], "string")
    decided = header(3, name="neurodecode", kind="Decision", n=2, rate=0, form="float32")
    decided += samples(3, [TRUE_TIMES[300]], [[0.5, 0.5]], "float32")
    raw = read_raw(xdf(tmp_path / "a.xdf", eeg_stream(), said, decided))
    assert raw.annotations.description.tolist() == ["command/left"]


def test_messages_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.vhdr").write_text("[Common Infos]\nDataFile=a.eeg\n")
    (tmp_path / "a.eeg").write_bytes(b"1")
    with pytest.raises(RecordingError) as error:
        read_raw(tmp_path / "a.vhdr")
    assert re.fullmatch(r".*cannot be read as BrainVision \(.+\)\. .+\.", str(error.value))
