"""`neurodecode doctor`: what there is to work with, and whether it works together."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodecode.core.errors import StoreError
from neurodecode.results.provenance import environment
from neurodecode.results.store import Store
from neurodecode.show import console


def show_doctor(runs: Path, *, as_json: bool) -> int:
    """Print what there is to work with; 0 if everything works together, else 2."""
    start = time.perf_counter()
    facts = _doctor_facts(runs)
    problems = facts["problems"]
    facts["seconds"] = round(time.perf_counter() - start, 1)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=1) + "\n")
    else:
        out = console()
        for name, value in facts.items():
            if isinstance(value, Mapping):
                value = ", ".join(f"{n} {v}" for n, v in value.items())
            if name != "problems":
                out.print(f"{name}: {value}", markup=False)
        out.print("\n".join(problems) or "Everything works together.", markup=False)
    return 2 if problems else 0


def _doctor_facts(runs: Path) -> dict[str, Any]:
    facts: dict[str, Any] = environment()
    problems = []
    try:
        import torch

        facts["devices"] = ["cpu"] + [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ]
        facts["threads"] = torch.get_num_threads()
        import braindecode  # noqa: F401  # the import that a mismatched torchaudio breaks
    except Exception as error:  # whatever a broken install raises is what doctor reports
        problems.append(
            f"torch, torchaudio and braindecode do not work together ({error}). Install the "
            f"tested set: pip install -c constraints.txt ."
        )
    facts["MNE_DATA"] = os.environ.get("MNE_DATA", "not set")
    facts["runs"] = str(runs.resolve())
    try:
        Store.open(runs)
    except StoreError as error:
        problems.append(str(error))
    facts["problems"] = problems
    return facts
