"""Settings of every test: one thread, quiet MNE, real recordings where they are present."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from neurodecode.artifacts.bank import Bank

os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MOABB_DOWNLOAD_PROVIDER", "upstream")

REPOSITORY = Path(__file__).parents[1]
REAL = Path(os.environ.get("NEURODECODE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_configure() -> None:
    """Small tensors on a shared machine: one thread is over three times faster than four."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What can be made again is kept in a folder of the tests, never in the user's."""
    os.environ["NEURODECODE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def noise_bank() -> "Bank":
    """Six people on twelve channels: rhythms for brains, slow humps for eyes, noise for muscles."""
    from neurodecode.artifacts.bank import Bank, Source

    rng = np.random.default_rng(0)
    t = np.arange(2560) / 256
    directions = rng.standard_normal((12, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    parts: dict[str, list[Source]] = {"brains": [], "eyes": [], "muscles": []}
    for i in range(6):
        phases = rng.uniform(0, 2 * np.pi, (12, 1))
        brain = 10 * np.sin(2 * np.pi * (9 + 0.3 * i) * t + phases)
        eyes = np.sin(2 * np.pi * 0.5 * t[None] + rng.uniform(0, 6)) ** 8
        muscles = rng.standard_normal((2, len(t)))
        for name, courses in {"brains": brain, "eyes": eyes, "muscles": muscles}.items():
            patterns = None if name == "brains" else 30 * rng.standard_normal((12, len(courses)))
            parts[name].append(
                Source(
                    subject=f"person-{i}",
                    courses=courses.astype(np.float32),
                    patterns=None if patterns is None else patterns.astype(np.float32),
                )
            )
    return Bank(**parts, sfreq=256.0, directions=directions)


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of real recordings; the test is skipped where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}")
    return REAL
