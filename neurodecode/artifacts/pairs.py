"""Brain, eyes and muscles of real recordings, told apart by independent components.

Reference: "ART: Artifact Removal Transformer", NeuroImage 310:121123 (2025), section on the
generation of noisy-clean pairs. A component belongs to the brain if ICLabel gives the brain at
least 0.8; to another class, if that is its most probable one. Clean is what the components of the
brain project to the scalp; noisy is clean plus what the components of one other class do.

Known faults, which a net trained on such pairs learns: the clean signal is the opinion of ICA and
ICLabel, it has as many dimensions as there were components of the brain and no more, and the
activity of the brain that ICLabel was not sure of is missing from it. A score on such pairs says
how well a net imitates them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mne.io import BaseRaw
from numpy.typing import NDArray

from neurodecode.artifacts.bank import Bank, Source
from neurodecode.artifacts.extra import extra
from neurodecode.artifacts.recording import brain_channels, signal_of
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.recordings.montage import electrode_directions

Array = NDArray[np.float64]
Report = Callable[[str, int, int], None]

CLASSES = ("brain", "muscle", "eye", "heart", "line", "channel", "other")
"""ICLabel's, in the order of its columns."""

BAND = (1.0, 100.0)  # Hz; what ICLabel was trained on
SHORTEST = 20.0  # s; fewer samples do not tell sources apart
FEWEST = 4  # channels


def bank_of(
    raws: Sequence[tuple[str, str, BaseRaw]],
    *,
    brain: float = 0.8,
    seed: int = 0,
    sfreq: float = 256.0,
    report: Report = lambda words, done, total: None,
) -> Bank:
    """Sources of many recordings, on the channels that all of them have.

    Parameters
    ----------
    raws
        Person, name of the recording, and recording in volts with electrodes placed.
    brain
        Least probability with which a component counts as brain, in (0, 1].
    seed
        Of ICA's first guess.
    sfreq
        Rate of the bank, Hz.
    report
        Called with words, recordings done and recordings in all.

    Raises
    ------
    SignalError
        If there are too few channels with a position, or no recording gives a brain.
    """
    if not 0 < brain <= 1:
        raise ConfigError(f"brain = {brain:g} is a probability, above 0 and at most 1. Usual: 0.8.")
    if not raws:
        raise SignalError("No recording was given to take apart. Name some.")
    names = _common(raws)
    parts: dict[str, list[Source]] = {"brain": [], "eye": [], "muscle": []}
    for i, (subject, recording, raw) in enumerate(raws):
        report("taking recordings apart", i + 1, len(raws))
        for kind, x in separate(raw, names, brain=brain, seed=seed, sfreq=sfreq).items():
            if kind in parts:
                courses = np.asarray(1e6 * x, np.float32)
                source = Source(subject=subject, courses=courses, recording=recording)
                parts[kind].append(source)
    if not parts["brain"] or not (parts["eye"] or parts["muscle"]):
        raise SignalError(
            f"In {len(raws)} recordings, ICLabel found {len(parts['brain'])} brains, "
            f"{len(parts['eye'])} pairs of eyes and {len(parts['muscle'])} muscles; pairs take a "
            f"brain and one of the others. Give more or longer recordings, or lower brain (now "
            f"{brain:g})."
        )
    return Bank(
        brains=parts["brain"],
        eyes=parts["eye"],
        muscles=parts["muscle"],
        sfreq=sfreq,
        directions=electrode_directions(raws[0][2].info, names),
    )


def separate(
    raw: BaseRaw, ch_names: Sequence[str], *, brain: float, seed: int, sfreq: float
) -> dict[str, Array]:
    """What the components of each class project to the scalp; classes without one are absent.

    Parameters
    ----------
    raw
        Recording in volts; it is left as it was.
    ch_names
        Channels to keep.
    brain, seed, sfreq
        As for `bank_of`.

    Returns
    -------
    dict
        Class to signal (n_chans, n_samples), V, average reference, 1 to 100 Hz.
    """
    ready = _ready(raw, ch_names, sfreq)
    ica, probabilities = _labelled(ready, seed)
    best = [CLASSES[i] for i in probabilities.argmax(axis=1)]
    found = {}
    for kind in CLASSES:
        index = [i for i, name in enumerate(best) if name == kind]
        if kind == "brain":
            index = [int(i) for i in np.flatnonzero(probabilities[:, 0] >= brain)]
        if index:
            part = ica.apply(
                ready.copy(), include=index, n_pca_components=ica.n_components_, verbose="ERROR"
            )
            x = part.get_data()
            found[kind] = np.asarray(x - x.mean(axis=1, keepdims=True))  # MNE adds it to each
    return found


def _common(raws: Sequence[tuple[str, str, BaseRaw]]) -> list[str]:
    """Channels with a position that all recordings have, in the order of the first."""
    placed = [
        {n for n in brain_channels(raw) if electrode_directions(raw.info, [n]) is not None}
        for _, _, raw in raws
    ]
    names = [name for name in raws[0][2].ch_names if all(name in found for found in placed)]
    if len(names) < FEWEST:
        raise SignalError(
            f"{len(names)} channels with a position are in all {len(raws)} recordings; components "
            f"take {FEWEST} or more. Name channels by the 10-20 system, or choose recordings that "
            f"have channels in common."
        )
    return names


def _ready(raw: BaseRaw, ch_names: Sequence[str], sfreq: float) -> BaseRaw:
    """A copy as ICLabel wants it: chosen channels, 1 to 100 Hz, average reference, rate `sfreq`."""
    signal_of(raw, ch_names)  # refuses flat channels and wrong units with a channel's name
    out = raw.copy().load_data().pick(list(ch_names))
    if out.times[-1] < SHORTEST:
        raise SignalError(
            f"The recording lasts {out.times[-1]:.1f} s, and components take {SHORTEST:g} s or "
            f"more. Give a longer one."
        )
    top = min(BAND[1], 0.45 * float(out.info["sfreq"]))
    out.filter(BAND[0], top, verbose="ERROR")
    if out.info["sfreq"] != sfreq:
        out.resample(sfreq, verbose="ERROR")
    return out.set_eeg_reference("average", projection=False, verbose="ERROR")


def _labelled(raw: BaseRaw, seed: int) -> tuple[Any, Array]:
    """Fitted ICA, and ICLabel's probabilities (n_components, 7)."""
    import warnings

    from mne.preprocessing import ICA

    iclabel = extra("mne_icalabel.iclabel", "bank.kind = 'ica'")
    rank = np.linalg.matrix_rank(raw.get_data() @ raw.get_data().T, tol=None, hermitian=True)
    n = min(int(rank), len(raw.ch_names) - 1)  # the average reference takes one
    extended = {"method": "infomax", "fit_params": {"extended": True}}
    ica = ICA(n, random_state=seed, max_iter=500, verbose="ERROR", **extended)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of convergence, and of filters that MNE cannot know of
        ica.fit(raw, decim=max(1, round(raw.info["sfreq"] / 100)), verbose="ERROR")
        probabilities = iclabel.iclabel_label_components(raw, ica, inplace=False, backend="torch")
    return ica, np.asarray(probabilities)
