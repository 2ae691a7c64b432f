"""Nets as archives of torch.export (.pt2).

`torch.export.load` opens pickles: of the example input, of constants, and of whatever it finds that
it cannot read as plain tensors. So a file of somebody else's may run what it likes, and none is
ever opened here but one that was written a moment ago.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from neurodecode.export.program import Program, quiet

FACTS = "neurodecode.json"


def write_archive(program: Program, path: Path, facts: Mapping[str, str]) -> None:
    """Write a graph as an archive; `facts` lie beside it as JSON, in the extra file `FACTS`."""
    with quiet():
        torch.export.save(program.graph, path, extra_files={FACTS: json.dumps(dict(facts))})


def read_own_archive(path: Path) -> nn.Module:
    """What a file computes that this process has just written; never for any other."""
    with quiet():
        return torch.export.load(path).module()
