"""Files that a command writes: refused before the work, and after it all there, or none."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from neurodecode.core.errors import ConfigError, StoreError


def check_outputs(
    outputs: Mapping[str, Path], *, inputs: Sequence[Path], overwrite: bool = False
) -> None:
    """Refuse outputs that cannot, or must not, be written.

    Parameters
    ----------
    outputs
        What each file is, in the words of the message, and its path.
    inputs
        Files that must stay as they are.
    overwrite
        Whether a file that is there may be replaced. An input never may.

    Raises
    ------
    ConfigError
        If two files are one, one is an input, or one exists and may not be replaced.
    StoreError
        If a folder is missing or cannot be written to.
    """
    seen: dict[Path, str] = {}
    for what, path in outputs.items():
        for source in inputs:
            if _same(path, source):
                raise ConfigError(
                    f"{what} {path} is the recording {source} itself, which is never changed. "
                    f"Choose another name."
                )
        if path.resolve() in seen:
            raise ConfigError(
                f"{what} and {seen[path.resolve()]} are one file, {path}. Choose two names."
            )
        seen[path.resolve()] = what
        if path.is_dir():
            raise ConfigError(f"{what} {path} is a folder. Name a file in it.")
        if path.exists() and not overwrite:
            raise ConfigError(
                f"{what} {path} exists. Choose another name, or replace it with --overwrite."
            )
        _check_folder(what, path)


def _same(a: Path, b: Path) -> bool:
    """Whether two paths lead to one file, through links or different spellings too."""
    if a.exists() and b.exists():
        return a.samefile(b)
    return a.resolve() == b.resolve()


def _check_folder(what: str, path: Path) -> None:
    if not path.parent.is_dir():
        raise StoreError(
            f"{what} {path} cannot be written: there is no folder {path.parent}. Make it first."
        )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".neurodecode-"):
            pass  # the only sure test that a file can be made there
    except OSError as error:
        raise StoreError(
            f"{what} {path} cannot be written: {path.parent} takes no file ({error.strerror}). "
            f"Choose another folder."
        ) from error


@contextmanager
def staged(paths: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """Where to write files that shall appear all at once, or not at all.

    Gives a stand-in for each path, of the same name, in a temporary folder beside it. When the
    block ends, every file of those folders is moved to its place; when it fails or is
    interrupted, nothing is.

    Raises
    ------
    StoreError
        If the disk is full or a folder cannot be written to.
    """
    with ExitStack() as stack:
        try:
            folders = {
                parent: Path(
                    stack.enter_context(
                        tempfile.TemporaryDirectory(dir=parent, prefix=".neurodecode-")
                    )
                )
                for parent in dict.fromkeys(path.parent for path in paths)
            }
            yield {path: folders[path.parent] / path.name for path in paths}
            for parent, folder in folders.items():
                # NAME-1.fif before NAME.fif, which refers to it
                for part in sorted(folder.iterdir(), key=lambda p: (p.name in _names(paths), p)):
                    os.replace(part, parent / part.name)
        except OSError as error:
            raise StoreError(
                f"{', '.join(map(str, paths))} cannot be written ({error.strerror or error}). "
                f"Nothing was left behind: free space, or choose another folder."
            ) from error


def _names(paths: Sequence[Path]) -> set[str]:
    return {path.name for path in paths}
