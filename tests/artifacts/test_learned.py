"""Trained nets at work: any rate and montage, live as offline, and nothing changed in secret."""

from pathlib import Path

import mne
import numpy as np
import pytest
import torch

from neurodecode.artifacts.apply import clean
from neurodecode.artifacts.learned import Learned, art, atat, tinyconv
from neurodecode.artifacts.trained import load_denoiser, save_denoiser, shipped
from neurodecode.core.errors import CheckpointError, ConfigError, SignalError
from neurodecode.models import DENOISERS
from neurodecode.recordings.montage import add_positions

NAMES = ["Fp1", "Fp2", "C3", "C4", "O1", "O2"]


def recording(sfreq: float = 128.0, duration: float = 6.0, names: list[str] = NAMES) -> mne.io.Raw:
    rng = np.random.default_rng(3)
    x = 1e-5 * rng.standard_normal((len(names), round(duration * sfreq)))
    x[:, round(2 * sfreq) : round(2.4 * sfreq)] += 1e-4
    raw = mne.io.RawArray(x, mne.create_info(names, sfreq, "eeg"), verbose="ERROR")
    return add_positions(raw)


@pytest.fixture(params=["tinyconv", "atat", "art"])
def weights(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A small net that changes much, and its file."""
    torch.manual_seed(0)
    options = {"art": {"width": 16, "n_heads": 2, "depth": 1}, "atat": {"width": 16, "depth": 1}}
    name = str(request.param)
    net = DENOISERS.get(name)(**options.get(name, {}))
    for weight in net.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.05)
    path = tmp_path / f"{name}.safetensors"
    save_denoiser(net, path, name=name, options=options.get(name, {}), training={})
    return name, str(path)


def build(name: str, path: str) -> Learned:
    return {"art": art, "atat": atat, "tinyconv": tinyconv}[name](weights=path)


def stream(cleaner: Learned, x: np.ndarray, n: int) -> np.ndarray:
    state, out = cleaner.start(), []
    for i in range(0, x.shape[1], n):
        y, state = cleaner.step(x[:, i : i + n], state)
        out.append(y)
    return np.concatenate([*out, cleaner.finish(state)], axis=1)


@pytest.mark.parametrize("sfreq", [100.0, 128.0, 173.61, 256.0, 500.0])
def test_any_rate_live_as_offline(weights: tuple[str, str], sfreq: float) -> None:
    raw = recording(sfreq, duration=4.3)
    cleaner = build(*weights).fit([raw])
    x, whole = raw.get_data(), cleaner.transform(raw).get_data()
    assert not np.array_equal(whole, x)
    for n in (7, 64, 1000):
        np.testing.assert_array_equal(stream(cleaner, x, n), whole)


def test_a_sample_comes_out_within_the_delay(weights: tuple[str, str]) -> None:
    raw = recording()
    cleaner = build(*weights).fit([raw])
    x, state, n_out = raw.get_data(), cleaner.start(), 0
    for i in range(x.shape[1]):
        y, state = cleaner.step(x[:, i : i + 1], state)
        n_out += y.shape[1]
        assert i + 1 - n_out <= cleaner.delay * 128


def test_the_scale_of_the_recording_comes_through(weights: tuple[str, str]) -> None:
    """Ten times the amplitude is cleaned to ten times the result: no gain is lost on the way."""
    raw = recording()
    large = raw.copy()
    large._data *= 10
    one, ten = (build(*weights).fit([r]).transform(r).get_data() for r in (raw, large))
    np.testing.assert_allclose(10 * one, ten, rtol=1e-4, atol=1e-9)


def test_windows_leave_no_seam(weights: tuple[str, str]) -> None:
    """What was removed does not jump where one window takes over from another."""
    raw = recording()
    cleaner = build(*weights).fit([raw])
    removed = raw.get_data() - cleaner.transform(raw).get_data()
    jumps = np.abs(np.diff(removed, axis=1)).max(axis=0)
    seams = np.arange(128, removed.shape[1] - 1, 128)
    assert jumps[seams - 1].mean() < 3 * jumps.mean() + 1e-12


def test_offset_and_drift_stay() -> None:
    raw = recording()
    raw._data += 0.02 + 1e-4 * np.linspace(0, 1, raw.n_times)
    cleaner = tinyconv().fit([raw.copy().filter(0.5, None, verbose="ERROR")])
    out = clean(cleaner, raw).get_data()
    np.testing.assert_allclose(out.mean(axis=1), raw.get_data().mean(axis=1), rtol=1e-2)


def test_weights_that_come_with_the_package_load_and_are_small() -> None:
    for name in ("tinyconv", "atat", "art"):
        net, header = load_denoiser(shipped(name))
        assert header["training"], name
        assert shipped(name).stat().st_size < 3e6
        assert not net.training


def test_without_positions_art_says_which_and_atat_goes_on() -> None:
    raw = recording(names=["A", "B", "C3", "C4"])
    with pytest.raises(SignalError, match="A, B have no position"):
        art().fit([raw])
    assert np.isfinite(atat().fit([raw]).transform(raw).get_data()).all()


@pytest.mark.parametrize(
    ("hop", "words"), [(5.0, "must fit"), (0.0, "must fit"), (0.01, "must fit")]
)
def test_a_hop_that_does_not_fit(hop: float, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tinyconv(hop=hop).fit([recording()])


def test_shorter_than_a_second() -> None:
    with pytest.raises(SignalError, match="longer"):
        tinyconv().fit([recording(duration=0.5)])
    cleaner = tinyconv().fit([recording()])
    with pytest.raises(SignalError, match="longer"):
        cleaner.transform(recording(duration=0.5))


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none.safetensors", "no weights at"),
        (Path(__file__), "not a whole file"),
    ):
        with pytest.raises(CheckpointError, match=words):
            atat(weights=str(path)).fit([recording()])


def test_weights_of_another_shape(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    net = DENOISERS.get("tinyconv")(n_maps=4)
    save_denoiser(net, path, name="tinyconv", options={}, training={})
    with pytest.raises(CheckpointError, match="do not fit"):
        tinyconv(weights=str(path)).fit([recording()])
