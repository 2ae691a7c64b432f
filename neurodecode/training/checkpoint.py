"""Fitted decoders as files: safetensors with a JSON header, no pickle.

A file holds the choices and facts that a decoder was built from, and what fitting gave it: the
weights of a net, or the attributes of a scikit-learn estimator. Loading builds the model anew and
puts these back, so nothing in the file is ever executed. What else was fitted beside the decoder,
such as a cleaner, lies in the same file.
"""

import importlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from sklearn.base import BaseEstimator
from torch import nn

from neurodecode.core.errors import CheckpointError, NeurodecodeError
from neurodecode.core.spec import TaskSpec
from neurodecode.training.estimator import Decoder

FORMAT = 1
TRUSTED = ("sklearn", "pyriemann", "neurodecode")  # packages whose estimators a file may name
LIBRARIES = ("neurodecode-eeg", "torch", "braindecode", "scikit-learn", "pyriemann")

Tensors = dict[str, Any]  # arrays, and tensors of torch


def save(decoder: Decoder, path: Path, extra: Mapping[str, Any] | None = None) -> None:
    """Write a fitted decoder to `path`, whole or not at all.

    Parameters
    ----------
    decoder
        Fitted.
    path
        A file that is there is replaced.
    extra
        Whatever belongs to it, by name: values that `encode` takes. `load_extra` gives them back.

    Raises
    ------
    CheckpointError
        If it is not fitted, or holds something that is neither numbers nor text.
    """
    if not hasattr(decoder, "model_"):
        raise CheckpointError("This decoder is not fitted; there is nothing to save.")
    tensors: Tensors = {}
    header = {
        "format": FORMAT,
        "choices": encode(decoder.get_params(deep=False), "choices", tensors),
        "spec": asdict(decoder.spec_),
        "classes": encode(decoder.classes_, "classes", tensors),
        "history": decoder.history_,
        "n_params": decoder.n_params_,
        "versions": {name: version(name) for name in LIBRARIES},
        "extra": encode(dict(extra or {}), "extra", tensors),
    }
    if isinstance(decoder.model_, nn.Module):
        tensors |= {"mean": decoder.mean_, "scale": decoder.scale_}
        weights = decoder.model_.state_dict()
        tensors |= {f"net.{k}": v.cpu().contiguous().numpy() for k, v in weights.items()}
    else:
        header["estimator"] = encode(decoder.model_, "estimator", tensors)
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.array(array, order="C") for name, array in tensors.items()}
        save_file(arrays, temporary, metadata={"neurodecode": json.dumps(header)})
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} cannot be written: {getattr(error, 'strerror', None) or error}. Free space, "
            f"or choose another folder, and give the same command again: finished folds are kept."
        ) from None
    finally:
        with suppress(OSError):  # a folder that cannot be written has nothing to clean up
            temporary.unlink(missing_ok=True)


def load(path: Path) -> Decoder:
    """The decoder that was saved to `path`; it gives the same probabilities to the last bit.

    Raises
    ------
    CheckpointError
        If there is no such file, it is damaged or not ours, or the code has changed too much.
    """
    header, tensors = _read(Path(path))
    with _saying(path):
        return _restore(header, tensors)


def load_extra(path: Path) -> dict[str, Any]:
    """What was saved to `path` beside the decoder; nothing in files of older versions.

    Raises
    ------
    CheckpointError
        As `load`.
    """
    header, tensors = _read(Path(path))
    with _saying(path):
        return dict(decode(header.get("extra", {"dict": []}), tensors))


@contextmanager
def _saying(path: Path) -> Iterator[None]:
    """Errors within name the file."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except NeurodecodeError as error:
        raise CheckpointError(f"{path} cannot be rebuilt: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is damaged: {type(error).__name__} {error}. Fit the decoder again."
        ) from error


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if "neurodecode" not in metadata:
                raise CheckpointError(f"{path} was not written by neurodecode.")
            header: dict[str, Any] = json.loads(metadata["neurodecode"])
            if header.get("format", 0) > FORMAT:
                raise CheckpointError(
                    f"{path} has format {header['format']}; this version reads up to {FORMAT}. "
                    f"Update neurodecode."
                )
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint at {path}.") from None
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole checkpoint ({error}). Fit the decoder again."
        ) from None


def _restore(header: dict[str, Any], tensors: Tensors) -> Decoder:
    decoder = Decoder(**decode(header["choices"], tensors))
    facts = header["spec"]
    places = facts.get("positions")
    decoder.spec_ = TaskSpec(
        **{
            **facts,
            "ch_names": tuple(facts["ch_names"]),
            "positions": None if places is None else tuple(map(tuple, places)),
        }
    )
    decoder.classes_ = decode(header["classes"], tensors)
    if np.shape(decoder.classes_) != (decoder.spec_.n_outputs,):
        raise CheckpointError("its labels are damaged. Fit the decoder again.")
    decoder.history_, decoder.n_params_ = header["history"], header["n_params"]
    model = decoder.build(decoder.spec_)
    if isinstance(model, nn.Module):
        decoder.mean_, decoder.scale_ = tensors["mean"], tensors["scale"]
        weights = {
            name.removeprefix("net."): torch.from_numpy(value)
            for name, value in tensors.items()
            if name.startswith("net.")
        }
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(
                f"its weights do not fit {decoder.model} as this version builds it ({reason}). "
                f"Use the version it was saved with, or fit again."
            ) from None
        decoder.model_ = model.eval()
    else:
        decoder.model_ = decode(header["estimator"], tensors, built=model)
    return decoder


def encode(value: Any, where: str, tensors: Tensors) -> Any:
    """A value as JSON; its arrays go to `tensors`, under the name of the place they are at.

    Parameters
    ----------
    value
        Number, text, None, array, tensor, estimator, or a list, tuple or dict of those.
    where
        Dotted place, for names and messages.
    tensors
        Gets the arrays.

    Raises
    ------
    CheckpointError
        For anything else.
    """
    match value:
        case None | bool() | str():
            return value
        case np.generic():
            return {"scalar": encode(np.asarray(value), where, tensors)}
        case int():
            return value
        case float():
            return value if math.isfinite(value) else {"float": repr(value)}
        case np.ndarray():
            return _encode_array(value, where, tensors)
        case torch.Tensor():
            name = where if where not in tensors else f"{where}#{len(tensors)}"
            tensors[name] = value.detach().cpu()
            return {"tensor": name}
        case list() | tuple():
            items = [encode(v, f"{where}.{i}", tensors) for i, v in enumerate(value)]
            return {type(value).__name__ if type(value) in (list, tuple) else "tuple": items}
        case Mapping():
            pairs = [[encode(k, where, tensors), k, v] for k, v in value.items()]
            return {"dict": [[k, encode(v, f"{where}.{name}", tensors)] for k, name, v in pairs]}
        case BaseEstimator():
            return _encode_estimator(value, where, tensors)
    raise CheckpointError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be "
        f"stored without pickle. Use an estimator that is fitted to arrays."
    )


def _encode_array(array: NDArray[Any], where: str, tensors: Tensors) -> Any:
    texts = array.dtype.kind in "UO" and all(isinstance(v, str) for v in array.flat)
    if texts:
        kind = "object" if array.dtype.kind == "O" else array.dtype.str
        return {"texts": array.ravel().tolist(), "dtype": kind, "shape": list(array.shape)}
    if array.dtype.kind not in "biuf":
        raise CheckpointError(f"{where} is an array of {array.dtype}, which cannot be stored.")
    name = where if where not in tensors else f"{where}#{len(tensors)}"
    tensors[name] = array
    # The order in memory decides which routine multiplies it, and so the last bit of a result.
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return {"array": name, "order": "F" if fortran else "C"}


def _encode_estimator(estimator: BaseEstimator, where: str, tensors: Tensors) -> Any:
    kind = type(estimator)
    choices = estimator.get_params(deep=False)
    attributes: dict[str, Any] = {}
    for name, value in vars(estimator).items():
        place = f"{where}.{name}"
        try:
            attributes[name] = encode(value, place, tensors)
        except CheckpointError:
            if name not in choices:
                raise
            attributes[name] = {"built": True}  # a choice such as a function: the builder has it
    return {"estimator": [kind.__module__, kind.__qualname__], "attributes": attributes}


def decode(code: Any, tensors: Tensors, built: Any = None) -> Any:
    """The value that `encode` was given.

    Parameters
    ----------
    code
        What `encode` returned.
    tensors
        Arrays by name.
    built
        The same value in a freshly built model, where there is one.
    """
    if not isinstance(code, dict):
        return code
    match code:
        case {"float": str(text)}:
            return float(text)
        case {"scalar": inner}:
            return _decode_array(inner, tensors)[()]
        case {"texts": _} | {"array": _} | {"tensor": _}:
            return _decode_array(code, tensors)
        case {"list": list(items)}:
            return [decode(v, tensors, _at(built, i)) for i, v in enumerate(items)]
        case {"tuple": list(items)}:
            return tuple(decode(v, tensors, _at(built, i)) for i, v in enumerate(items))
        case {"dict": list(pairs)}:
            return {decode(k, tensors): decode(v, tensors) for k, v in pairs}
        case {"estimator": [str(module), str(name)], "attributes": dict(attributes)}:
            return _decode_estimator(module, name, attributes, tensors, built)
        case {"built": True} if built is not None:
            return built
    raise CheckpointError("it holds a kind of value that this version does not know.")


def _decode_array(code: dict[str, Any], tensors: Tensors) -> Any:
    if "tensor" in code:
        return torch.as_tensor(tensors[code["tensor"]])
    if "texts" in code:
        return np.array(code["texts"], dtype=code["dtype"]).reshape(code["shape"])
    return np.asarray(tensors[code["array"]], order="F" if code["order"] == "F" else "C")


def _decode_estimator(
    module: str, name: str, attributes: dict[str, Any], tensors: Tensors, built: Any
) -> BaseEstimator:
    if module.partition(".")[0] not in TRUSTED:
        raise CheckpointError(f"it names {module}.{name}, and only {', '.join(TRUSTED)} may be.")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise CheckpointError(f"{module}.{name} no longer exists. Fit the decoder again.") from None
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise CheckpointError(f"{module}.{name} is not an estimator.")
    if built is not None and type(built) is not kind:
        raise CheckpointError(
            f"it holds a {name} where this version builds a {type(built).__name__}. Fit again."
        )
    estimator: BaseEstimator = object.__new__(kind)  # its constructor takes no part
    for attribute, code in attributes.items():
        vars(estimator)[attribute] = decode(code, tensors, getattr(built, attribute, None))
    return estimator


def _at(values: Any, i: int) -> Any:
    """The i-th of some values, or None."""
    return values[i] if isinstance(values, list | tuple) and i < len(values) else None
