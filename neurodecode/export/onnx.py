"""Nets as ONNX, and onnxruntime, which runs them on one thread without Python or torch.

A file holds one graph, with its weights in it, from microvolts to logits and probabilities, and
what whoever uses it has to know as metadata. It is data: onnxruntime knows the operations by name,
and there is nothing in it that could be executed. It is read as bytes, so that it cannot refer to
other files either.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neurodecode.core.errors import CheckpointError, ConfigError
from neurodecode.export.agreement import Said
from neurodecode.export.program import INPUT, OUTPUTS, Program, in_short, quiet


def write_onnx(program: Program, path: Path, facts: Mapping[str, str]) -> None:
    """Write a graph as ONNX.

    Parameters
    ----------
    program
        Of a net.
    path
        The file. Weights of more than 2 GB, which ONNX has no room for, go to another beside it.
    facts
        Its metadata.

    Raises
    ------
    ConfigError
        If ONNX lacks an operation of the net.
    """
    try:
        with quiet(), torch.no_grad():
            made = torch.onnx.export(
                program.graph,
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                verbose=False,
            )
    except Exception as error:  # in as many ways as there are operations
        cause = error
        while isinstance(cause.__cause__, Exception):
            cause = cause.__cause__
        raise ConfigError(
            f"The net cannot be written as ONNX: '{in_short(cause)}'. Write .pt2 instead, or "
            f"export another decoder."
        ) from error
    assert made is not None, "it is asked for a program, and not for a file"
    for node in made.model.graph.all_nodes():
        node.metadata_props.clear()  # lines of code, with their folders
    made.model.producer_name, made.model.producer_version = "neurodecode", facts.get("version", "")
    made.model.metadata_props.update(facts)
    made.save(path)


def open_onnx(path: Path) -> Any:
    """A session of onnxruntime for a file: one thread, on the CPU.

    A second thread gains nothing for one window, and waking it costs more than a small net.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or holds no graph that onnxruntime can run.
    """
    import onnxruntime

    how = onnxruntime.SessionOptions()
    how.intra_op_num_threads = how.inter_op_num_threads = 1
    how.log_severity_level = 4  # its warnings are of its own rearranging
    try:
        return onnxruntime.InferenceSession(
            path.read_bytes(), how, providers=["CPUExecutionProvider"]
        )
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror}).") from None
    except Exception as error:  # onnxruntime has its own, one for each code of its library
        raise CheckpointError(
            f"{path} is no ONNX graph that onnxruntime runs: {in_short(error)}. Export it again."
        ) from None


def ask_onnx(path: Path) -> Callable[[NDArray[np.float32]], Said]:
    """How to ask a file for logits and probabilities of windows in microvolts."""
    session = open_onnx(path)

    def ask(x: NDArray[np.float32]) -> Said:
        logits, probabilities = session.run(list(OUTPUTS), {INPUT: x})
        return logits, probabilities

    return ask


def facts_of(session: Any) -> dict[str, str]:
    """Metadata of the file that a session was opened for."""
    return dict(session.get_modelmeta().custom_metadata_map)
