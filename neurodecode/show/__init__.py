"""What the command line prints: results on stdout, progress on stderr. Draws; computes nothing."""

import sys

from rich.console import Console


def console() -> Console:
    """Stdout; wide enough for a table when it is not a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)
