"""Windows whose answer is known, and decoders fitted to them."""

import numpy as np
import pytest

from neurodecode.explain.windows import Axes, Windows
from neurodecode.training.estimator import Decoder

CH_NAMES = ("Fz", "FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4")
SFREQ = 100.0


def windows_of(n: int, *, where: str = "C3", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """White noise of 10 uV, and in windows of class 1 twice as much at 10 Hz in one channel."""
    rng = np.random.default_rng(seed)
    x = 10 * rng.standard_normal((n, len(CH_NAMES), 200)).astype(np.float32)
    y = np.arange(n) % 2
    t = np.arange(200) / SFREQ
    phase = rng.uniform(0, 2 * np.pi, n)
    x[:, CH_NAMES.index(where)] += (
        (15 * y)[:, None] * np.sin(2 * np.pi * 10 * t + phase[:, None])
    ).astype(np.float32)
    return x, y.astype(np.int64)


def make_windows(*, where: str = "C3", n: int = 40) -> Windows:
    x, y = windows_of(n, where=where, seed=1)
    x_train, y_train = windows_of(120, where=where)
    axes = Axes(classes=("rest", "move"), ch_names=CH_NAMES, sfreq=SFREQ, n_times=200)
    return Windows(x=x, y=y, x_train=x_train, y_train=y_train, axes=axes)


def fit_decoder(model: str, windows: Windows, **train: object) -> Decoder:
    decoder = Decoder(model, sfreq=SFREQ, ch_names=CH_NAMES, train=train or None)
    return decoder.fit(windows.x_train, windows.y_train)


@pytest.fixture(scope="session")
def known() -> Windows:
    return make_windows()


@pytest.fixture(scope="session")
def fitted(known: Windows) -> Decoder:
    """A small net that has learned the difference."""
    return fit_decoder("dbconformer", known, epochs=25, lr=3e-3)


@pytest.fixture(scope="session")
def classical(known: Windows) -> Decoder:
    return fit_decoder("csp_lda", known)
