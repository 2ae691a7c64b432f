"""Windows that memory does not hold: the same decoder, and no copy of them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from neurodecode.core.errors import FitError
from neurodecode.epochs import epochset
from neurodecode.epochs.view import View
from neurodecode.training.batches import Batches, Streamed
from neurodecode.training.estimator import Decoder

TRAIN = {"epochs": 2, "device": "cpu"}


def on_disk(folder: Path, n: int, n_times: int = 200) -> tuple[np.memmap, np.ndarray]:
    rng = np.random.default_rng(0)
    x = np.memmap(folder / "windows.f32", np.float32, "w+", shape=(n, 4, n_times))
    y = np.arange(n) % 2
    x[:] = rng.standard_normal(x.shape, dtype=np.float32) * (1 + y[:, None, None])
    return x, y


@pytest.mark.parametrize("model", ["shallow", "csp_lda"])
def test_a_decoder_is_the_same_whether_windows_are_held_or_read(model: str, tmp_path: Path) -> None:
    x, y = on_disk(tmp_path, 60)
    index, who = np.arange(60)[::-1], np.arange(60) // 15
    train = TRAIN if model == "shallow" else None
    held = Decoder(model, sfreq=100, train=train).fit(np.asarray(x)[index], y[index], who)
    read = Decoder(model, sfreq=100, train=train).fit(View(x, index), y[index], who)
    np.testing.assert_array_equal(read.predict_proba(x), held.predict_proba(x))


def test_nothing_of_the_size_of_the_data_is_ever_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochset, "CHUNK", 2**18)
    x, y = on_disk(tmp_path, 3000, n_times=500)
    index = np.arange(len(x))
    decoder = Decoder("shallow", sfreq=100, train={**TRAIN, "epochs": 1})
    decoder.fit(View(x[:100], index[:100]), y[:100])  # what is imported at first does not count
    tracemalloc.start()
    decoder.fit(View(x, index), y, index // 600)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x.nbytes / 2


def test_a_bad_window_is_found_wherever_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epochset, "CHUNK", 2**14)
    x, y = on_disk(tmp_path, 40)
    x[33, 2, 7] = np.inf
    with pytest.raises(FitError, match=r"1 of 40 windows hold .*first: window 33"):
        Decoder("csp_lda", sfreq=100).fit(View(x, np.arange(40)), y)


def test_batches_read_ahead_are_those_of_windows_in_memory(tmp_path: Path) -> None:
    x, y = on_disk(tmp_path, 50)
    labels = torch.from_numpy(y)
    held = Batches(torch.from_numpy(np.array(x)), labels, 8, torch.Generator().manual_seed(1))
    view = Streamed(View(x, np.arange(50)), torch.device("cpu"))
    read = Batches(view, labels, 8, torch.Generator().manual_seed(1))
    for (a, b), (c, d) in zip(held, read, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)


def test_what_fails_while_reading_ahead_is_raised() -> None:
    class Broken(View):
        def __getitem__(self, key: object) -> np.ndarray:
            raise OSError("gone")

    view = Broken(np.zeros((8, 1, 4), np.float32), np.arange(8))
    with pytest.raises(OSError, match="gone"):
        list(Batches(Streamed(view, torch.device("cpu")), torch.zeros(8), 4))
