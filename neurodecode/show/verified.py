"""Whether the recording of a live session gives the same decisions again, in a line."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from neurodecode.experiment.verify import Verified
from neurodecode.show import console


def show_verified(found: Verified, path: Path, *, as_json: bool) -> int:
    """Print what was compared; 0 if all is the same, else 2."""
    if as_json:
        document = {"file": str(path), "same": found.same, **asdict(found)}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return 0 if found.same else 2
    words = f"{found.n_decisions} decisions of {path}, {found.n_valid} with probabilities"
    out = console()
    if found.same:
        exact = f"to {found.max_difference:.1g}" if found.max_difference else "to the last bit"
        out.print(f"{words}: decided again, all are the same, probabilities {exact}.", markup=False)
        return 0
    out.print(
        f"{words}: decided again, {found.n_missing} are missing, {found.n_other_status} have "
        f"another status, {found.n_other_command} another command, and probabilities differ by up "
        f"to {found.max_difference:.2g}. Give the options of the session (--model, --adapt, "
        f"--fold).",
        markup=False,
    )
    return 2
