"""Libraries of the `denoise` extra, imported when they are needed."""

import importlib
import importlib.util
from typing import Any

from neurodecode.core.errors import ConfigError


def has(module: str) -> bool:
    """Whether a library is installed."""
    return importlib.util.find_spec(module) is not None


def extra(module: str, wanted_by: str) -> Any:
    """A module of a library of the `denoise` extra.

    Raises
    ------
    ConfigError
        If the library is not installed.
    """
    package = module.partition(".")[0]
    if not has(package):
        raise ConfigError(
            f"{wanted_by} needs {package.replace('_', '-')}, which is not installed. In the "
            f'repository: pip install -c constraints.txt ".[denoise]"'
        )
    return importlib.import_module(module)
