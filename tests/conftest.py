"""Settings of every test: one thread, quiet MNE, real recordings where they are present."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("MNE_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("MOABB_DOWNLOAD_PROVIDER", "upstream")

REPOSITORY = Path(__file__).parents[1]
REAL = Path(os.environ.get("NEURODECODE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_configure() -> None:
    """Small tensors on a shared machine: one thread is over three times faster than four."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def real() -> Path:
    """Folder of real recordings; the test is skipped where it is absent."""
    if not REAL.is_dir():
        pytest.skip(f"no real recordings at {REAL}")
    return REAL
