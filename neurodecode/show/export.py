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
    line = _nir(document) if "nodes" in document else _graph(document)
    about = f"{document['file']}: {document['model']}, {document['fold']}"
    console(at_least=1000).print(f"{about}, {line}", markup=False)


def _nir(document: Mapping[str, Any]) -> str:
    parity, sizes = document["parity"], document["populations"].values()
    return (
        f"{document['nodes']} nodes, "
        f"{document['edges']} edges, {len(sizes)} populations ({' + '.join(map(str, sizes))} "
        f"neurons), {document['weights']:,} weights; on {parity['n_windows']} windows of noise "
        f"{parity['differing']} of {parity['n_spikes']:,} spikes differ "
        f"({parity['differing_single']} in single precision), logits by up to "
        f"{parity['max_logit_difference']:.1g}. Input: {document['input']}."
    )


def _graph(document: Mapping[str, Any]) -> str:
    parity, given = document["parity"], document["input"]
    shape = ", ".join(map(str, given["shape"]))
    *first, last = map(str, parity["batch_sizes"])
    sizes = f"{', '.join(first)} or {last}" if first else last
    beyond = ""
    if parity["spikes"]:
        beyond = f"; {parity['n_beyond']} beyond it, where a spike came in one of them"
    return (
        f"{document['format']}, {document['bytes'] / 1e6:.2g} MB; on {parity['n_windows']} "
        f"{parity['windows_from']}, {sizes} at a time, "
        f"logits differ by up to {parity['max_logit_difference']:.1g} of "
        f"{parity['largest_logit']:.3g} (allowed: {parity['tolerance']:.1g}{beyond}), "
        f"probabilities by {parity['max_probability_difference']:.1g}. "
        f"Input: {given['name']} ({shape}), {given['unit']}, {given['before']}. "
        f"Outputs: {', '.join(out['name'] for out in document['outputs'])} of "
        f"{', '.join(document['classes'])}."
    )
