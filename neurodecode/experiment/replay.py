"""Which recordings are played: a file, or those of one person in a data set."""

from collections.abc import Sequence
from pathlib import Path

from neurodecode.core.errors import ConfigError, RecordingError, UnknownName
from neurodecode.online.replay import Played, played
from neurodecode.recordings.cards import find_card, local_files, open_dataset
from neurodecode.recordings.load import Recording, load_recordings
from neurodecode.recordings.read import read_raw


def choose_recordings(
    file: Path | None = None,
    *,
    dataset: str | None = None,
    data_dir: str | None = None,
    subject: str | None = None,
    session: str | None = None,
    run: str | None = None,
    unit: str | None = None,
    sfreq: float | None = None,
    stream: str | None = None,
) -> list[Played]:
    """Recordings to play.

    Parameters
    ----------
    file
        A recording in any format that is read here; its annotations become markers.
    dataset
        Instead of a file, what `fit --dataset` takes; its events become markers at the moment at
        which the task begins, under their class names.
    data_dir
        Where the recordings of the data set lie.
    subject
        By default the first.
    session, run
        By default all, in order.
    unit, sfreq, stream
        For a file that does not say; see `neurodecode.recordings.read.read_raw`.

    Raises
    ------
    ConfigError
        If neither or both of file and data set are given, or what belongs to the other.
    UnknownName
        For a data set, subject, session or run that is not there.
    RecordingError
        If they cannot be read, or hold no EEG.
    """
    of_dataset = {"--data-dir": data_dir, "--subject": subject, "--session": session, "--run": run}
    of_file = {"--unit": unit, "--sfreq": sfreq, "--stream": stream}
    if (file is None) == (dataset is None):
        raise ConfigError(
            "Give one recording to play: a FILE, or --dataset NAME such as --dataset synthetic."
        )
    strange = of_dataset if file is not None else of_file
    given = [flag for flag, value in strange.items() if value is not None]
    if given:
        other = "a FILE" if file is not None else "--dataset"
        raise ConfigError(f"{', '.join(given)} does not go with {other}. Leave it out.")
    if file is not None:
        raw = read_raw(file, unit=unit, sfreq=sfreq, stream=stream)
        return [played(raw, {"dataset": file.name, "subject": "", "session": "", "run": ""})]
    assert dataset is not None
    return _of_dataset(dataset, data_dir, subject, {"session": session, "run": run})


def _of_dataset(
    name: str, data_dir: str | None, subject: str | None, wanted: dict[str, str | None]
) -> list[Played]:
    from neurodecode.experiment.subjects import subjects_of  # MOABB comes along; a file needs none

    card = find_card(name, paradigm="mi")
    with local_files(card, data_dir):
        data = open_dataset(card, data_dir=data_dir)
        people = subjects_of(data, None if subject is None else [subject])
        if not people:
            raise RecordingError(f"{card.name} has no subject to play.")
        found = list(load_recordings(data, people[0]))
        for key, word in wanted.items():
            found = _only(found, key, word)
        return [
            played(
                recording.raw.load_data(),
                {
                    "dataset": card.name,
                    "subject": recording.subject,
                    "session": recording.session,
                    "run": recording.run,
                },
                list(zip(recording.onset.tolist(), recording.label, strict=True)),
            )
            for recording in found
        ]


def _only(recordings: Sequence[Recording], key: str, word: str | None) -> list[Recording]:
    """Those of one session or run."""
    if word is None:
        return list(recordings)
    known = dict.fromkeys(str(getattr(recording, key)) for recording in recordings)
    if word not in known:
        raise UnknownName(
            f"{key} of {recordings[0].dataset} subject {recordings[0].subject}", word, known
        )
    return [recording for recording in recordings if getattr(recording, key) == word]
