"""Who, when and which run, read from the names of files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neurodecode.core.errors import ConfigError, RecordingError

FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that matches a pattern, and what the pattern reads in its name."""

    path: Path
    fields: Mapping[str, str]


def find_files(root: Path, pattern: str) -> list[Found]:
    """Files under `root` that match a pattern, in natural order of their paths.

    Raises
    ------
    ConfigError
        If the pattern has no ``{subject}``.
    RecordingError
        If there is no such folder, or no such file in it.
    """
    if "{subject}" not in pattern:
        raise ConfigError(
            f"pattern = '{pattern}' has no {{subject}}, so it cannot say whose a file is. Put it "
            f"where the file names differ between people."
        )
    if not root.is_dir():
        raise RecordingError(f"There is no folder {root}. Check the path of the recordings.")
    depth = pattern.count("/") + 1
    paths = [path for path in root.glob("/".join(["*"] * depth)) if path.exists()]
    names = sorted((path.relative_to(root).as_posix() for path in paths), key=natural)
    regex = re.compile(_regex(pattern), re.IGNORECASE)
    found = [Found(root / n, match.groupdict()) for n in names if (match := regex.fullmatch(n))]
    if not found:
        held = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        level = f"{depth} levels down " if depth > 1 else ""
        raise RecordingError(
            f"No file under {root} matches '{pattern}'; {level}it holds {held or 'nothing'}. "
            f"Correct the path, or pattern in the card."
        )
    return found


def natural(text: str) -> tuple[list[tuple[str, int]], str]:
    """Sorting key that puts "s2" before "s10", and "01" always on the same side of "1"."""
    return [(w, int(n or 0)) for w, n in re.findall(r"(\D*)(\d*)", text.lower())], text


def order_names(values: Sequence[str]) -> dict[str, str]:
    """MOABB's name for each distinct session or run: a number, then letters and digits or nothing.

    Numbers stay, without leading zeros; anything else is numbered from 0 in natural order.
    """
    distinct = sorted(set(values), key=natural)
    numbers = [str(int(value)) for value in distinct if value.isascii() and value.isdigit()]
    if len(set(numbers)) == len(distinct):
        return dict(zip(distinct, numbers, strict=True))
    words = [re.sub(r"^[^a-zA-Z]+|[^a-zA-Z0-9]", "", value) for value in distinct]
    return {
        value: f"{i}{word}" for i, (value, word) in enumerate(zip(distinct, words, strict=True))
    }


def _regex(pattern: str) -> str:
    """Regular expression of a pattern; a name that stands twice must read the same."""
    parts, seen = [], set()
    for i, part in enumerate(FIELD.split(pattern)):
        if i % 2 == 0:
            parts.append(re.escape(part))
        elif part == "_":
            parts.append("[^/]*?")
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>[^/]+?)")
            seen.add(part)
    return "".join(parts)
