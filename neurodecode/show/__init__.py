"""What the command line prints: results on stdout, progress on stderr. Draws; computes nothing."""

import sys

from rich.console import Console


def console(*, at_least: int = 0) -> Console:
    """Stdout; wide enough for a table when it is not a terminal."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    if out.width < at_least:  # the terminal breaks lines, where Rich would leave columns out
        out.width = at_least
    return out
