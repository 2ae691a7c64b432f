"""Names for interchangeable parts.

A part is registered by a decorator beside its definition, and found without importing anything:
the files of the package are parsed, not run. `neurodecode list models` therefore answers before
torch could be imported, and asking for one model imports one file.
"""

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from neurodecode.core.errors import UnknownName

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a part is defined, and the first line of what it says of itself."""

    module: str
    summary: str


class Registry(Generic[T]):
    """Parts of one kind, by name.

    The variable that holds a registry is called like its kind, in capitals and in the plural
    (``MODELS = Registry("model", package=__name__)``): that is how a decorator is recognised in
    a file that has not been imported.

    Parameters
    ----------
    kind
        What the parts are, in the singular; it appears in error messages.
    package
        Package whose files hold the parts, one or more in each.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._parts: dict[str, T] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """Register the decorated class or function under `name`."""

        def register(part: T) -> T:
            self._parts[name] = part
            return part

        return register

    def names(self) -> tuple[str, ...]:
        """Every registered name, sorted."""
        return tuple(sorted(self._listings))

    def summary(self, name: str) -> str:
        """Return the first line of the part's docstring."""
        return self.find(name).summary

    def get(self, name: str) -> T:
        """Return the part called `name`, importing the file that defines it.

        ``FAMILY:VARIANT`` is the part called FAMILY with the keyword ``variant``.

        Raises
        ------
        UnknownName
            If there is none; the message names the nearest.
        """
        importlib.import_module(self.find(name).module)
        family, colon, variant = name.partition(":")
        part = self._parts[family]
        if colon and "variant" not in inspect.signature(cast(Any, part)).parameters:
            raise UnknownName(self.kind, name, self._listings)
        return cast(T, partial(cast(Any, part), variant=variant)) if colon else part

    def find(self, name: str) -> Listing:
        """Where the part called `name` is defined, without importing it.

        Raises
        ------
        UnknownName
            If there is none; the message names the nearest.
        """
        family = name.partition(":")[0]
        if family not in self._listings:
            raise UnknownName(self.kind, name, self._listings)
        return self._listings[family]

    @cached_property
    def _listings(self) -> dict[str, Listing]:
        spec = importlib.util.find_spec(self.package)
        assert spec is not None
        assert spec.origin is not None
        variable = _plural(self.kind).upper()
        found: dict[str, Listing] = {}
        for path in sorted(Path(spec.origin).parent.glob("[!_]*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in tree.body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    summary = (ast.get_docstring(node) or "").split("\n")[0]
                    for name in _registered_names(node, variable):
                        found[name] = Listing(f"{self.package}.{path.stem}", summary)
        return found


def _plural(kind: str) -> str:
    """Two or more of a kind: models, penalties."""
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def _registered_names(node: ast.ClassDef | ast.FunctionDef, variable: str) -> list[str]:
    """Names in the ``@VARIABLE.add("name")`` decorators of a definition."""
    names = []
    for call in node.decorator_list:
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="add"),
                args=[ast.Constant(value=str(name))],
            ) if owner == variable:
                names.append(name)
    return names
