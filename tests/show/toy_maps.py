"""Maps whose answers are known: by hand, of two people and two classes."""

from typing import Any

import numpy as np

from neurodecode.recordings.montage import cap_1005
from neurodecode.results.maps import FoldMaps

NAMES = ["C3", "Cz", "C4", "Pz", "Fz"]
TIMES, FREQS = [0.25, 0.75, 1.25], [6.0, 10.0, 20.0, 40.0]
CLASSES = ["left_hand", "right_hand"]
SIZES = {"chan": 5, "time": 3, "freq": 4}


def fold(
    subject: str, scale: float = 1.0, *, method: str = "occlusion", signed: bool = True,
    kinds: tuple[str, ...] = ("chan", "time", "freq", "chan_time", "chan_freq", "chan_chan"),
    unit: str = "logit", **facts: Any,
) -> FoldMaps:  # fmt: skip
    """Class 0 is `scale` at the first place and 0 elsewhere; class 1 minus `scale` at the last."""
    cap = cap_1005().get_positions()["ch_pos"]
    tensors = {}
    for kind in kinds:
        shape = tuple(SIZES[word] for word in kind.split("_"))
        values = np.zeros((2, *shape), dtype=np.float32)
        values[(0, *[0] * len(shape))] = scale
        values[(1, *[-1] * len(shape))] = -scale if signed else scale
        tensors[f"{method}/{kind}"] = values
    about = {"unit": unit, "signed": signed, "facts": {}, "seconds": 0.1, "summary": ""}
    return FoldMaps(
        facts={
            "key": f"key-{subject}", "model": "toy", "align": "none", "clean": "none",
            "fold": f"subject={subject}", "subject": subject, "session": "0", "seed": 0,
            "score": 0.8, "classes": CLASSES, "ch_names": NAMES,
            "positions": [[float(v) for v in cap[name]] for name in NAMES],
            "times": TIMES, "freqs": FREQS, "methods": {method: about}, "checks": {}, **facts,
        },
        tensors=tensors,
    )  # fmt: skip
