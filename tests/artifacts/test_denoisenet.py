from pathlib import Path

import numpy as np
import pytest

from neurodecode.artifacts.bank import Recipe, draw, split_people
from neurodecode.artifacts.denoisenet import denoisenet_bank, read_segments
from neurodecode.core.errors import RecordingError

SIZES = {"EEG": 60, "EOG": 45, "EMG": 75}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Stand-ins of the published arrays: row i has the constant i within its noise."""
    rng = np.random.default_rng(0)
    for word, n in SIZES.items():
        x = 20 * rng.standard_normal((n, 512))
        x[:, 0] = 1000 + np.arange(n)
        np.save(tmp_path / f"{word}_all_epochs.npy", x)
    return tmp_path


def test_blocks_of_neighbours_stand_for_people(folder: Path) -> None:
    bank = denoisenet_bank(folder, n_blocks=5, gap=2)
    assert bank.sfreq == 256
    assert bank.directions is None
    for sources, n in zip((bank.brains, bank.eyes, bank.muscles), SIZES.values(), strict=True):
        rows = [s.courses[0, ::512] - 1000 for s in sources]
        assert all(s.n_chans == 1 and s.segment == 512 for s in sources)
        assert all(np.array_equal(np.diff(r), np.ones(len(r) - 1)) for r in rows)
        borders = zip(rows[:-1], rows[1:], strict=True)
        assert [b[0] - a[-1] for a, b in borders] == [5] * 4  # two left out on either side
        assert (rows[0][0], rows[-1][-1]) == (0, n - 1)
    parts = split_people(bank, n_parts=3)
    names = [name for part in parts for name in part.subjects]
    assert len(names) == len(set(names)) == 15


def test_segments_are_mixed_one_by_one(folder: Path) -> None:
    recipe = Recipe(convention="eegdenoisenet", shares={"both": 1.0}, n_chans=(1, 1))
    rng = np.random.default_rng(0)
    mixture = draw(denoisenet_bank(folder, n_blocks=3, gap=0), recipe, 6, rng)
    assert mixture.noisy.shape == (6, 1, 512)
    assert mixture.directions is None


def test_segments_at_512_hz_are_brought_to_256(folder: Path) -> None:
    t = np.arange(1024) / 512
    slow, fast = (30 * np.sin(2 * np.pi * f * t) for f in (10, 200))
    (folder / "EMG_all_epochs.npy").unlink()
    np.save(folder / "EMG_all_epochs_512hz.npy", np.tile(slow + fast, (75, 1)))
    muscle = denoisenet_bank(folder, n_blocks=3).muscles[0].courses[0, 512:1024]
    assert muscle[50:-50] == pytest.approx(slow[::2][50:-50], abs=1.0)


def test_a_missing_file_is_named_with_the_others(folder: Path) -> None:
    (folder / "EOG_all_epochs.npy").unlink()
    with pytest.raises(RecordingError, match="no EOG_all_epochs.npy") as caught:
        denoisenet_bank(folder)
    assert all(f"{word}_all_epochs.npy" in str(caught.value) for word in SIZES)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.ones((4, 500)), r"shape \(4, 500\)"),
        (np.ones(512), "shape"),
        (np.array([["a"] * 512]), "U1"),
        (np.full((4, 512), np.nan), "not finite"),
        (np.empty((0, 512)), "empty"),
        (1e-6 * np.random.default_rng(0).standard_normal((4, 512)), "microvolts"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, x: np.ndarray, words: str) -> None:
    path = tmp_path / "EEG_all_epochs.npy"
    np.save(path, x)
    with pytest.raises(RecordingError, match=words):
        read_segments(path)


def test_objects_are_never_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "EEG_all_epochs.npy"
    np.save(path, np.array([{"a": 1}], dtype=object))
    with pytest.raises(RecordingError, match="not an array of numbers"):
        read_segments(path)
    path.write_bytes(b"not an array")
    with pytest.raises(RecordingError, match="not an array of numbers"):
        read_segments(path)


def test_too_many_blocks_are_refused(folder: Path) -> None:
    with pytest.raises(RecordingError, match="too few for 30 blocks"):
        denoisenet_bank(folder)
