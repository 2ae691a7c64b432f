"""Checks a person's choices against what a builder accepts.

The signature of the builder is the schema: there is no second list of options to keep in step.
"""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from neurodecode.core.errors import ConfigError, UnknownName


def read_toml(path: Path, *, kind: str) -> dict[str, Any]:
    """What a TOML file says.

    Parameters
    ----------
    path
        The file.
    kind
        What it is, for the message: "pipeline file".

    Raises
    ------
    ConfigError
        If it is missing, cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no {kind} {path}. Check the path.") from None
    except OSError as error:
        raise ConfigError(
            f"{path} is not a {kind}: it cannot be read ({error.strerror}). Name a TOML file."
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"{path} is not a {kind}: it is not TOML ({error}). Correct it there."
        ) from error


def keywords(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Keyword-only parameters of a function or class, in order: what a person may choose."""
    parameters = inspect.signature(builder).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_options(builder: Callable[..., Any], options: Mapping[str, Any], *, where: str) -> None:
    """Refuse an option that `builder` does not take, or a value of another type.

    Parameters
    ----------
    builder
        Function or class whose keyword-only parameters are the choices.
    options
        Choices as they were written.
    where
        Place to name in the message, such as "[preprocess]".

    Raises
    ------
    UnknownName
        For an option that does not exist; the message names the nearest.
    ConfigError
        For a value whose type the annotation does not allow.
    """
    if isinstance(builder, partial):
        builder = builder.func
    builder = inspect.unwrap(builder)  # a variant of a builder takes what that takes
    known = keywords(builder)
    if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(builder).parameters.values()):
        return  # it passes them on, and checks them where it knows what takes them
    hints = get_type_hints(vars(builder)["__init__"] if isinstance(builder, type) else builder)
    for name, value in options.items():
        if name not in known:
            raise UnknownName(f"option of {where}", name, known)
        hint = hints.get(name, Any)
        if not fits(value, hint):
            default = known[name].default
            plain = isinstance(default, bool | int | float | str | list | tuple)
            usual = f" Its default is {default!r}." if plain else ""
            usual = " By default it is left out." if default is None else usual
            raise ConfigError(f"{where} {name} = {value!r} is not {describe(hint)}.{usual}")


def check_needed(builder: Callable[..., Any], options: Mapping[str, Any], *, where: str) -> None:
    """Refuse options that leave out one without a default.

    Parameters
    ----------
    builder, options
        As for `check_options`.
    where
        Section, as it stands before a dot: "contaminate".

    Raises
    ------
    ConfigError
        Naming all that are missing, and what the first may be.
    """
    parameters = keywords(builder).items()
    needed = [name for name, p in parameters if p.default is p.empty and name not in options]
    if needed:
        hints = get_type_hints(builder)
        raise ConfigError(
            f"[{where}] lacks {', '.join(needed)}. Give --set {where}.{needed[0]}=..., "
            f"{describe(hints[needed[0]])}."
        )


def fits(value: Any, hint: Any) -> bool:
    """Whether a value read from TOML suits a type annotation."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in inner)
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is tuple:
        same = len(inner) == 2 and inner[1] is Ellipsis
        return isinstance(value, list | tuple) and (
            all(fits(v, inner[0]) for v in value)
            if same
            else len(value) == len(inner) and all(map(fits, value, inner))
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(v, inner[1]) for v in value.values())
    if isinstance(origin, type):  # Sequence[...] and the like
        return isinstance(value, list | tuple) and all(fits(v, inner[0]) for v in value)
    return isinstance(value, hint)


def describe(hint: Any) -> str:
    """A type annotation in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(v) for v in inner)
    if origin in (Union, UnionType):
        return " or ".join(describe(option) for option in inner if option is not type(None))
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if hint is type(None):
        return "left out"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "a table of options"
    if origin is tuple and (len(inner) != 2 or inner[1] is not Ellipsis):
        return f"a list of {len(inner)} ({', '.join(describe(v) for v in inner)})"
    if origin is not None:
        return f"a list of values, each {describe(inner[-1] if origin is not tuple else inner[0])}"
    return words.get(hint, getattr(hint, "__name__", str(hint)))
