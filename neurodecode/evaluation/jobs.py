"""What a run consists of: decoders on folds with seeds, and the data that they share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.alarms import Detection
from neurodecode.evaluation.cleaning import Continuous
from neurodecode.evaluation.pseudo_online import Live
from neurodecode.evaluation.splits import Fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One decoder on one fold with one seed.

    Attributes
    ----------
    fold
        What to train on and what to test.
    model
        Name of the decoder, with its mode if it has one: "mvpformer+probe".
    options
        Its choices.
    train
        Choices of the training; empty for decoders that are not trained by us.
    align
        "none", or an aligner and its mode: "euclidean:causal".
    clean
        "none", or a cleaner and what it is fitted to; see `neurodecode.evaluation.cleaning`.
    pretrained
        Where the decoder starts, see `neurodecode.training.estimator.Decoder`.
    seed
        Of everything random.
    shuffled
        Train on labels permuted within each subject: a control that must score at chance.
    key
        Hash of everything that could change the score.
    """

    fold: Fold
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    train: Mapping[str, Any] = field(default_factory=dict)
    align: str = "none"
    clean: str = "none"
    pretrained: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    shuffled: bool = False
    key: str


def job_key(data: str, code: str, versions: Mapping[str, str], fold: Fold, **choices: Any) -> str:
    """Key of a fold: it changes with anything that could change its score.

    Parameters
    ----------
    data
        Digest of the windows; it covers recordings, preprocessing and cutting.
    code
        Digest of the package's source that the decoder runs through.
    versions
        Of the libraries.
    fold
        Its indices enter, so that adding a subject is another fold.
    choices
        Model, options, training, alignment, cleaning, seed, metric.
    """
    sha = hashlib.sha256()
    words = {"data": data, "code": code, "versions": dict(versions), **choices}
    sha.update(json.dumps(words, sort_keys=True, default=str).encode())
    sha.update(fold.train.astype(np.int64).tobytes() + b"/")
    sha.update(fold.test.astype(np.int64).tobytes())
    return sha.hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What all jobs of a run share: its words for the rows, and the data.

    `continuous` is there only where something is cleaned or played; `contaminated` says with what,
    if so; `detection` is there only where windows slide, and says how they become events; `live`
    only where test recordings are played, and says how decisions are taken; `together` says how
    many nets are trained in one pass, at most.
    """

    epochs: EpochSet
    paradigm: str
    dataset: str
    protocol: str
    metric: str
    simulated: bool
    contaminated: str = ""
    continuous: Continuous | None = None
    detection: Detection | None = None
    live: Live | None = None
    together: int = 1
