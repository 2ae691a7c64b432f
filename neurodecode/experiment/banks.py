"""Where the brains, eyes and muscles of the denoise paradigm come from.

The keyword-only parameters of each builder are the options of ``[bank]`` for its kind.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from neurodecode.artifacts.bank import Bank
from neurodecode.artifacts.denoisenet import denoisenet_bank
from neurodecode.artifacts.simulated import simulated_bank
from neurodecode.core.errors import SignalError
from neurodecode.experiment.data import Report
from neurodecode.experiment.subjects import subjects_of
from neurodecode.recordings.cards import find_card, local_files, open_dataset
from neurodecode.recordings.load import load_recordings
from neurodecode.recordings.montage import add_positions

SFREQ = 256.0
"""Rate of every bank, Hz: that of the nets."""


class Facts(NamedTuple):
    """What is known of a bank before it is built."""

    dataset: str
    simulated: bool
    units: str  # what is split: "people" or "blocks, not people"
    n_units: int
    placed: bool  # whether electrodes have positions


def simulated(report: Report, *, n_people: int = 60, duration: float = 60.0, seed: int = 0) -> Bank:
    """People of the simulator.

    Parameters
    ----------
    report
        Called with words, people done and people in all.
    n_people
        How many.
    duration
        Of each source, s.
    seed
        Another seed is other people.
    """
    return simulated_bank(n_people, seed=seed, sfreq=SFREQ, duration=duration, report=report)


def eegdenoisenet(report: Report, *, folder: str, n_blocks: int = 30) -> Bank:
    """Segments of EEGdenoiseNet; see `neurodecode.artifacts.denoisenet`.

    Parameters
    ----------
    report
        Called with words, arrays done and arrays in all.
    folder
        Where its arrays lie.
    n_blocks
        Blocks of neighbours that stand for people, whom nobody published.
    """
    return denoisenet_bank(Path(folder), n_blocks=n_blocks)


def ica(
    report: Report,
    *,
    dataset: str,
    data_dir: str | None = None,
    subjects: Sequence[int | str] | None = None,
    brain: float = 0.8,
    seed: int = 0,
) -> Bank:
    """Recordings taken apart by ICA and ICLabel; see `neurodecode.artifacts.pairs`.

    Parameters
    ----------
    report
        Called with words, recordings done and recordings in all.
    dataset, data_dir, subjects
        As in ``[data]`` of other paradigms.
    brain
        Least probability with which a component counts as brain.
    seed
        Of ICA's first guess.
    """
    from neurodecode.artifacts.pairs import bank_of

    card = find_card(dataset, paradigm="mi")
    raws = []
    with local_files(card, data_dir):
        data = open_dataset(card, data_dir=data_dir)
        people = subjects_of(data, subjects)
        for i, subject in enumerate(people):
            report(f"reading {card.name}", i, len(people))
            for recording in load_recordings(data, subject):
                raw = add_positions(recording.raw)
                raws.append((f"{card.name}-{subject}", recording.name, raw))
    return bank_of(raws, brain=brain, seed=seed, sfreq=SFREQ, report=report)


BANKS: Mapping[str, Callable[..., Bank]] = {
    "simulated": simulated,
    "eegdenoisenet": eegdenoisenet,
    "ica": ica,
}


def build_bank(options: Mapping[str, Any], report: Report) -> Bank:
    """The bank that ``[bank]`` describes; its options have been checked."""
    own = {name: value for name, value in options.items() if name != "kind"}
    return BANKS[options["kind"]](report, **own)


def facts_of(options: Mapping[str, Any]) -> Facts:
    """What is known of a bank before it is built; folders and data sets are looked up.

    Raises
    ------
    NeurodecodeError
        If the folder or the data set is not there.
    """
    if options["kind"] == "simulated":
        return Facts("simulated-people", True, "people", options["n_people"], True)
    if options["kind"] == "eegdenoisenet":
        return Facts("eegdenoisenet", False, "blocks, not people", options["n_blocks"], False)
    card = find_card(options["dataset"], paradigm="mi")
    with local_files(card, options["data_dir"]):
        data = open_dataset(card, data_dir=options["data_dir"])
        n = len(subjects_of(data, options["subjects"]))
    if not n:
        raise SignalError(f"{card.name} has nobody. Check bank.subjects and bank.data_dir.")
    return Facts(card.name, card.simulated, "people", n, True)
