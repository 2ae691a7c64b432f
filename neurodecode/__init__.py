"""EEG and neural-signal decoding: from a recording to an honest score, and live."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("neurodecode-eeg")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
