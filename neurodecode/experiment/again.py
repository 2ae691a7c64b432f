"""A command that was given before, whose run is finished: found without reading a recording.

A run that is finished keeps ``plan.json``: what was asked, word for word; the source, libraries and
files that it came from; and the keys of its folds. While all of that is as it was, the same command
would find the same folds finished, so nothing needs to be read or planned again. Nothing heavy is
imported here.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neurodecode.core.errors import StoreError
from neurodecode.recordings.cards import Card
from neurodecode.recordings.sources import Stamp, local_stamps, stamps, unchanged
from neurodecode.results.provenance import library_versions, shipped_digest
from neurodecode.results.store import Run, writing

PLAN = "plan.json"

PLACES = ("MNE_DATA", "MNE_DATASETS_EEGBCI_PATH", "HF_HOME")
"""Variables that say where files lie that no choice names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person asked `fit` for, before anything is filled in.

    Attributes
    ----------
    paradigm, pipeline, sets, flags
        As `neurodecode.experiment.choices.resolve` takes them.
    """

    paradigm: str
    pipeline: Path | None
    sets: Sequence[str]
    flags: Mapping[str, Any]

    def digest(self) -> str:
        """Of the words, the text of the pipeline file, and where files are looked for."""
        text = ""
        if self.pipeline is not None:
            with suppress(OSError, UnicodeDecodeError):  # who resolves the choices says what is
                text = self.pipeline.read_text(encoding="utf-8")
        places = {name: os.environ.get(name) for name in PLACES}
        flags = {name: value for name, value in self.flags.items() if value is not None}
        words = [self.paradigm, text, list(self.sets), flags, str(Path.cwd()), places]
        return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()


def finished_run(runs: Path, command: Command) -> tuple[Run, int] | None:
    """The run that the command would make, and its number of fits, if every one is finished.

    None also where anything could have changed since: source, libraries, files, or the folds.
    """
    asked = command.digest()
    for path in sorted(runs.glob(f"*/{PLAN}")):
        try:
            plan = json.loads(path.read_text("utf-8"))
            if plan["command"] == asked:
                run = Run(path.parent)
                return (run, len(plan["jobs"])) if _holds(run, plan) else None
        except (OSError, ValueError, KeyError, TypeError):  # damaged: as if it were not there
            continue
    return None


def _holds(run: Run, plan: Mapping[str, Any]) -> bool:
    """Whether what the run came from is as it was, and what it made is all there."""
    if plan["made_by"] != _makers() or not unchanged(plan["files"]):
        return False
    for entry in plan["data"]:
        there = local_stamps(Card(**entry["card"]), entry["data_dir"])
        if [list(stamp) for stamp in there] != entry["stamps"]:
            return False
    try:
        run.meta()
    except StoreError:
        return False
    if any(run.read_row(key) is None for key in plan["jobs"]):
        return False
    with suppress(OSError):
        os.utime(run.path / "meta.json")  # the newest run is the one that was last asked for
    return True


class Origin:
    """Files that a run comes from, as they are before they are read.

    Parameters
    ----------
    cards
        Of its data sets.
    choices
        As `neurodecode.experiment.choices.resolve` returns them.
    """

    def __init__(self, cards: Sequence[Card], choices: Mapping[str, Any]) -> None:
        data_dir = choices["data"]["data_dir"]
        self.data = [
            {"card": asdict(c), "data_dir": data_dir, "stamps": local_stamps(c, data_dir)}
            for c in cards
        ]
        self.files = stamps(map(Path, _texts(choices)))
        # What is published under that name may change, and nothing here would tell.
        checkpoint = choices["pretrained"].get("checkpoint")
        self.is_known = checkpoint is None or Path(checkpoint).is_file()

    def remember(
        self, run: Run, command: Command, keys: Sequence[str], read: Sequence[Stamp]
    ) -> None:
        """Write what `finished_run` reads.

        Parameters
        ----------
        run
            Whose folds are all finished.
        command
            That asked for it.
        keys
            Of its folds.
        read
            Stamps of downloaded files that recordings were read from.
        """
        if not self.is_known:
            return
        plan = {
            "command": command.digest(),
            "made_by": _makers(),
            "files": [*self.files, *read],
            "data": self.data,
            "jobs": list(keys),
        }
        with writing(run.path / PLAN) as file:
            file.write_text(json.dumps(plan, default=str) + "\n", encoding="utf-8")


def _makers() -> dict[str, str]:
    return {"neurodecode": shipped_digest(), **library_versions()}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a tree of choices; some name files."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
