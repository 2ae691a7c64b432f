"""Where the package finds what lies beside it, and where it keeps what it can make again."""

import os
from pathlib import Path
from typing import Literal

import platformdirs

PACKAGE = Path(__file__).parents[1]


def shared_folder(name: Literal["datasets", "pipelines", "dashboards"]) -> Path:
    """Folder of cards, pipelines or pages: beside the package, or inside it in a wheel."""
    inside = PACKAGE / f"_{name}"
    return inside if inside.is_dir() else PACKAGE.parent / name


def pipeline_names() -> tuple[str, ...]:
    """What `neurodecode fit --paradigm` takes: a name for each pipeline file.

    That of `neurodecode pretrain`, which decodes nothing, is not among them.
    """
    names = {path.stem for path in shared_folder("pipelines").glob("*.toml")}
    return tuple(sorted(names - {"pretrain"}))


def cache_folder() -> Path:
    """Folder of what can be made again: that named by NEURODECODE_CACHE, or the user's cache."""
    root = os.environ.get("NEURODECODE_CACHE") or platformdirs.user_cache_dir("neurodecode")
    return Path(root)
