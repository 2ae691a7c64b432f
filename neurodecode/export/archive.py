"""Nets as archives of torch.export (.pt2).

`torch.export.load` opens pickles: of the example input, of constants, and of whatever it finds that
it cannot read as plain tensors. So a file of somebody else's may run what it likes, and none is
ever opened here but one that was written a moment ago.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from neurodecode.export.agreement import Said
from neurodecode.export.program import Program, quiet

FACTS = "neurodecode.json"


def write_archive(program: Program, path: Path, facts: Mapping[str, str]) -> None:
    """Write a graph as an archive; `facts` lie beside it as JSON, in the extra file `FACTS`."""
    with quiet():
        torch.export.save(program.graph, path, extra_files={FACTS: json.dumps(dict(facts))})


def ask_own_archive(path: Path) -> Callable[[NDArray[np.float32]], Said]:
    """How to ask a file that this process has just written; never for any other."""
    with quiet():
        module = torch.export.load(path).module()

    def ask(x: NDArray[np.float32]) -> Said:
        with torch.inference_mode():
            logits, probabilities = module(torch.from_numpy(x))
        return logits.numpy(), probabilities.numpy()

    return ask
