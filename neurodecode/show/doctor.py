"""`neurodecode doctor`: what there is to work with, and whether it works together."""

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurodecode.core.errors import StoreError
from neurodecode.epochs.cache import WindowCache
from neurodecode.experiment.windows import windows_folder
from neurodecode.online.discovery import Discovery, try_discovery
from neurodecode.results.provenance import environment
from neurodecode.results.store import Store
from neurodecode.show import console


def show_doctor(runs: Path, *, network: bool = False, as_json: bool) -> int:
    """Print what there is to work with; 0 if everything works together, else 2."""
    start = time.perf_counter()
    facts = _doctor_facts(runs, network)
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


def _doctor_facts(runs: Path, network: bool) -> dict[str, Any]:
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
    folder = windows_folder()
    facts["kept windows"] = f"{folder}, {WindowCache(folder).size() / 2**20:,.0f} MiB"
    facts["runs"] = str(runs.resolve())
    try:
        Store.open(runs)
    except StoreError as error:
        problems.append(str(error))
    streams = try_discovery(network=network)
    facts["lsl"] = _lsl_facts(streams)
    problems += [streams.problem] if streams.problem else []
    facts["problems"] = problems
    return facts


def _lsl_facts(streams: Discovery) -> dict[str, str]:
    """What the test of LSL found, in words."""
    if not streams.library:
        return {"liblsl": "does not work"}
    facts = {
        "liblsl": streams.library,
        "found": f"{streams.n_found} of {streams.n_streams} in {1e3 * streams.seconds:.1f} ms",
    }
    if streams.latency:
        facts["clock offset"] = f"{1e6 * streams.offset:.0f} us"
        facts["latency"] = (
            f"{1e3 * streams.latency:.2f} ms (median), {1e3 * streams.latency_p99:.2f} ms (99 %)"
        )
    return facts
