"""The lines about an exported decoder."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from neurodecode.show import console


def show_export(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print what was exported, as `neurodecode.experiment.export` tells it."""
    if as_json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    parity, sizes = document["parity"], document["populations"].values()
    console(at_least=1000).print(
        f"{document['file']}: {document['model']}, {document['fold']}, {document['nodes']} nodes, "
        f"{document['edges']} edges, {len(sizes)} populations ({' + '.join(map(str, sizes))} "
        f"neurons), {document['weights']:,} weights; on {parity['n_windows']} windows of noise "
        f"{parity['differing']} of {parity['n_spikes']:,} spikes differ "
        f"({parity['differing_single']} in single precision), logits by up to "
        f"{parity['max_logit_difference']:.1g}. Input: {document['input']}.",
        markup=False,
    )
