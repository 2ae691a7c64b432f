"""Windows that are a mixture of sources, so that patterns are known."""

import numpy as np

from neurodecode.explain.windows import Axes, Windows
from neurodecode.training.estimator import Decoder

SFREQ = 100.0
N_TIMES = 200
NAMES = ("F3", "F4", "C3", "C4", "P3", "P4")
SOURCE, NOISE = 2, 4
"""Channel where the source is largest, and one that has only the noise."""


def axes(n_classes: int = 2) -> Axes:
    classes = tuple(f"class {i}" for i in range(n_classes))
    return Axes(classes=classes, ch_names=NAMES, sfreq=SFREQ, n_times=N_TIMES)


def tone(hz: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """A rhythm of any phase, whose frequency wanders by half a hertz, (n, N_TIMES)."""
    t = np.arange(N_TIMES) / SFREQ
    hz = hz + rng.uniform(-0.5, 0.5, (n, 1))
    return np.sin(2 * np.pi * hz * t + rng.uniform(0, 2 * np.pi, (n, 1)))


def mixed(n: int = 60, *, n_classes: int = 2, seed: int = 0) -> Windows:
    """A rhythm at 10 Hz in C3 and a little in C4, stronger in class 1; with two disturbances.

    A rhythm at 20 Hz, strong and alike in both classes, lies in P3 and C3: whoever reads the
    source takes P3 to cancel it. With three classes, class 2 has its own source in F4.
    """
    rng = np.random.default_rng(seed)
    n = 2 * n
    y = np.arange(n) % n_classes
    source = np.array([0, 0, 1, 0.2, 0, 0])
    noise = np.array([0.2, 0, 0.8, 0, 1, 0.2])
    second = np.array([0, 1, 0, 0.2, 0, 0])
    size = np.where(y == 1, 12.0, 6.0) * rng.uniform(0.7, 1.3, n)
    x = source[:, None] * (size[:, None] * tone(10, n, rng))[:, None]
    x = x + noise[:, None] * (rng.uniform(8, 16, (n, 1)) * tone(20, n, rng))[:, None]
    if n_classes == 3:
        size = np.where(y == 2, 12.0, 5.0)[:, None]
        x = x + second[:, None] * (size * tone(14, n, rng))[:, None]
    x = (x + 3 * rng.standard_normal(x.shape)).astype(np.float32)
    half = n // 2
    return Windows(x=x[half:], y=y[half:], x_train=x[:half], y_train=y[:half], axes=axes(n_classes))


def fitted(model: str, windows: Windows, **options: object) -> Decoder:
    decoder = Decoder(
        model, sfreq=windows.axes.sfreq, ch_names=windows.axes.ch_names, options=options
    )
    return decoder.fit(windows.x_train, windows.y_train)
