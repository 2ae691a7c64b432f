"""The results store: one folder per run, one file per fold, written once and atomically.

``runs/<id>/`` holds ``config.toml`` (resolved choices), ``meta.json`` (what ran it, and the keys
of its folds), ``folds/<key>.parquet`` (per-trial predictions, with the `ResultRow` in the file's
metadata) and ``checkpoints/<key>.safetensors``. A fold is finished when its parquet file exists;
many processes may write at once. A run that needs a fold which another run in the same folder has
finished links it instead of computing it again: the key says that it would be the same.
"""

import json
import logging
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from neurodecode.core.errors import StoreError
from neurodecode.results.rows import ResultRow

logger = logging.getLogger(__name__)

ROW = b"neurodecode.row"


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well, and vanishes when not.

    Raises
    ------
    StoreError
        If the file system refuses: no permission, no space.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror or error}). Free space, or choose another "
            f"folder, and give the same command again: finished folds are kept."
        ) from error
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:  # a read-only folder has nothing to clean up
            logger.debug("could not remove %s", temporary)


@dataclass(frozen=True, slots=True)
class Run:
    """The folder of one run.

    Attributes
    ----------
    path
        ``runs/<id>``.
    """

    path: Path

    @property
    def id(self) -> str:
        """Name of the run's folder."""
        return self.path.name

    def fold_file(self, key: str) -> Path:
        """Where the fold `key` is, or will be."""
        return self.path / "folds" / f"{key}.parquet"

    def checkpoint_file(self, key: str) -> Path:
        """Where the fitted decoder of the fold `key` is, or will be."""
        return self.path / "checkpoints" / f"{key}.safetensors"

    def describe(self, config_toml: str, meta: Mapping[str, Any]) -> None:
        """Write ``config.toml`` and ``meta.json``."""
        with writing(self.path / "config.toml") as file:
            file.write_text(config_toml, encoding="utf-8")
        with writing(self.path / "meta.json") as file:
            file.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    def meta(self) -> dict[str, Any]:
        """What ``meta.json`` says.

        Raises
        ------
        StoreError
            If the folder is not a run, or the file cannot be read.
        """
        try:
            meta = json.loads((self.path / "meta.json").read_text("utf-8"))
            if not isinstance(meta, dict):
                raise ValueError("it holds no table")
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path} is not a run of neurodecode: its meta.json cannot be read ({error}). "
                f"Name a folder under runs/, as `neurodecode results` lists them."
            ) from error
        return meta

    def write_document(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a JSON document beside the folds: it as it is kept.

        Parameters
        ----------
        name
            Of the file in the run's folder: "exit.json", "explain/summary.json".
        document
            Numbers that are none or infinite become null.
        """
        kept: dict[str, Any] = plain(document)
        with writing(self.path / name) as file:
            file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        return kept

    def read_document(self, name: str, *, command: str, part: str) -> dict[str, Any]:
        """A document that was kept under that name.

        Parameters
        ----------
        name
            As of `write_document`.
        command
            What makes it, for the message.
        part
            A list that it must hold.

        Raises
        ------
        StoreError
            If there is none, or it cannot be read.
        """
        try:
            document = json.loads((self.path / name).read_text("utf-8"))
            if not isinstance(document, dict) or not isinstance(document.get(part), list):
                raise ValueError(f"it holds no {part}")
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.id} has no {name} that can be read "
                f"({getattr(error, 'strerror', None) or error}). Give `{command}`."
            ) from error
        return document

    def write_fold(self, row: ResultRow, predictions: pd.DataFrame) -> None:
        """Keep a finished fold: from now on it is never computed again."""
        table = pa.Table.from_pandas(predictions, preserve_index=False)
        metadata = {**(table.schema.metadata or {}), ROW: json.dumps(row.as_dict()).encode()}
        with writing(self.fold_file(row.key)) as file:
            pq.write_table(table.replace_schema_metadata(metadata), file)

    def read_row(self, key: str) -> ResultRow | None:
        """The row of a finished fold; None if it is not finished.

        A file that cannot be read is reported and counts as not finished.
        """
        path = self.fold_file(key)
        if not path.exists():
            return None
        try:
            return ResultRow.from_dict(json.loads(pq.read_metadata(path).metadata[ROW]))
        except (
            OSError, ValueError, TypeError, KeyError, AttributeError, pa.ArrowException,
        ) as error:  # fmt: skip
            logger.warning("%s cannot be read (%s); that fold will be computed again", path, error)
            return None

    def read_predictions(self, key: str) -> pd.DataFrame:
        """Per-trial predictions of a finished fold.

        Raises
        ------
        StoreError
            If the file is not there, or cannot be read.
        """
        try:
            predictions: pd.DataFrame = pq.read_table(self.fold_file(key)).to_pandas()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise StoreError(
                f"{self.fold_file(key)} cannot be read ({error}). Remove it and give the command "
                f"of the run again: that fold is computed again."
            ) from error
        return predictions

    def adopt(self, key: str) -> bool:
        """Link a fold that a sibling run has finished; whether there was one."""
        for path in sorted(self.path.parent.glob(f"*/folds/{key}.parquet")):
            sibling = type(self)(path.parents[1])
            if sibling.path == self.path or sibling.read_row(key) is None:
                continue
            for source, target in (
                (sibling.checkpoint_file(key), self.checkpoint_file(key)),
                (path, self.fold_file(key)),  # last: it is what says "finished"
            ):
                if source.exists():
                    with writing(target) as file:
                        _link(source, file)
            return True
        return False

    def rows(self, keys: Iterable[str] | None = None) -> list[ResultRow]:
        """Rows of the finished folds of this run's plan, in the plan's order."""
        keys = self.meta().get("folds", []) if keys is None else keys
        return [row for key in keys if (row := self.read_row(key)) is not None]


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of runs."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> Self:
        """The store at `path`, created if need be.

        Raises
        ------
        StoreError
            If the folder cannot be created or written to.
        """
        try:
            with writing(path / ".writable") as probe:
                probe.touch()
        except StoreError as error:
            reason = getattr(error.__cause__, "strerror", None) or error
            raise StoreError(
                f"Runs cannot be kept in {path} ({reason}). Choose another folder with --runs."
            ) from error.__cause__
        (path / ".writable").unlink(missing_ok=True)
        return cls(path)

    def run(self, run_id: str) -> Run:
        """The run of that name, which need not exist."""
        return Run(self.path / run_id)

    def runs(self) -> list[Run]:
        """Every run, newest last."""
        found = [p.parent for p in self.path.glob("*/meta.json")]
        return [Run(p) for p in sorted(found, key=lambda p: (p / "meta.json").stat().st_mtime)]


def plain(value: Any) -> Any:
    """The same for JSON, with null for numbers that are none or infinite."""
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def load_rows(runs: Iterable[Run]) -> pd.DataFrame:
    """One line per finished fold of these runs, with a column ``run``; empty if there is none."""
    rows = [{"run": run.id, **row.as_dict()} for run in runs for row in run.rows()]
    return pd.DataFrame(rows)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
