"""Maps of what a fitted decoder reads, one method per file.

A method (`EXPLAINERS`) is a function of a fitted `Decoder` and the `Windows` of one fold. It gives
`Maps`, or None where it has nothing to say of that decoder: attention of a net that has none.
"""

from collections.abc import Callable
from typing import Any

from neurodecode.core.registry import Registry

EXPLAINERS: Registry[Callable[..., Any]] = Registry("explainer", package=__name__)
