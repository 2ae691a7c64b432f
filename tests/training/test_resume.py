import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from toy_backbone import ToyBackbone, toy_pool

from neurodecode.core.errors import CheckpointError, ConfigError
from neurodecode.training.pretrain import Moment, Trained, pretrain_backbone
from neurodecode.training.resume import load_state, newest_state, save_state

HOW: dict[str, Any] = {
    "steps": 30,
    "window": 2.0,
    "batch_size": 4,
    "validate_every": 10,
    "validation_windows": 4,
    "save_every": 0.0,
    "log_every": 3,
    "device": "cpu",
}


def train(folder: Path, until: int | None = None, **how: Any) -> Trained:
    """A training, stopped after a step if one is given."""
    torch.manual_seed(0)
    backbone = ToyBackbone()

    def stop(moment: Moment) -> None:
        if until is not None and moment.step >= until:
            raise KeyboardInterrupt

    return pretrain_backbone(
        backbone, toy_pool(0), toy_pool(1), folder, on_moment=stop, **{**HOW, **how}
    )


def plain(trained: Trained) -> list[dict[str, Any]]:
    """The curve without the clock."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in trained.rows]


def test_a_state_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    shared = torch.randn(3)
    state = {
        "weights": {"a": shared, "b": shared, "half": torch.randn(2, 3).bfloat16()},
        "moments": [{"state": {0: {"step": torch.tensor(7.0)}}, "betas": (0.9, 0.999)}],
        "rows": [{"loss": 0.1 + 0.2, "dataset": "a"}, {"loss": math.inf}],
        "array": np.arange(3),
        "nothing": None,
        "flags": [True, False],
        "empty": {},
        "transposed": torch.arange(6).reshape(2, 3).T,
    }
    save_state(state, tmp_path / "s.safetensors")
    back = load_state(tmp_path / "s.safetensors")
    for name, value in state["weights"].items():  # type: ignore[attr-defined]
        assert torch.equal(back["weights"][name], value)
        assert back["weights"][name].dtype == value.dtype
    assert back["moments"][0]["state"][0]["step"] == 7.0
    assert back["moments"][0]["betas"] == (0.9, 0.999)
    assert back["rows"] == state["rows"]
    assert torch.equal(back["transposed"], state["transposed"])  # type: ignore[arg-type]
    assert (back["nothing"], back["flags"], back["empty"]) == (None, [True, False], {})


def test_what_cannot_be_written_without_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="state.f is a .*cannot be stored without pickle"):
        save_state({"f": object()}, tmp_path / "s.safetensors")
    assert list(tmp_path.iterdir()) == []


def damage(path: Path, how: str) -> None:
    raw = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(raw[:-10])
    elif how == "bit":
        raw[-1] ^= 1
        path.write_bytes(raw)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("not a file of tensors")
    elif how == "foreign":
        save_file({"a": torch.zeros(2)}, path)


@pytest.mark.parametrize("how", ["cut", "bit", "empty", "text", "foreign"])
def test_a_damaged_state_is_one_line(how: str, tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    save_state({"a": torch.randn(20)}, path)
    damage(path, how)
    with pytest.raises(CheckpointError, match=r"s\.safetensors is not") as caught:
        load_state(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_state(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Never interrupted."""
    return train(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("batches", ["one", "mixed"])
def test_interrupted_anywhere_it_ends_as_if_it_had_not_been(
    keep: str, batches: str, whole: Trained, tmp_path: Path
) -> None:
    how = {"keep": keep, "batches": batches}
    usual = whole if how == {"keep": "best", "batches": "one"} else train(tmp_path / "w", **how)
    for until in (10, 11, 24):  # at a validation, after it, and in the middle
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "p", until, **how)
    kept = sorted(path.name for path in (tmp_path / "p").iterdir())
    assert kept == ["step-000000022.safetensors", "step-000000023.safetensors"]
    parts = train(tmp_path / "p", **how)
    assert parts.weights.keys() == usual.weights.keys()
    for name, value in usual.weights.items():
        assert torch.equal(parts.weights[name], value), name
    assert plain(parts) == plain(usual)
    assert (parts.step, parts.n_steps) == (usual.step, usual.n_steps)


def test_a_damaged_state_costs_no_more_than_itself(
    whole: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 18)
    first, second = sorted(tmp_path.iterdir())
    damage(second, "cut")
    starts: list[int] = []
    torch.manual_seed(0)
    with caplog.at_level(logging.WARNING):
        parts = pretrain_backbone(
            ToyBackbone(), toy_pool(0), toy_pool(1), tmp_path, starts.append, **HOW
        )
    assert starts == [int(first.stem.removeprefix("step-"))]
    (line,) = [record.getMessage() for record in caplog.records]
    assert "not a whole checkpoint" in line
    assert "goes on from an earlier one" in line
    assert all(torch.equal(parts.weights[n], v) for n, v in whole.weights.items())


def test_without_a_whole_state_it_starts_again(tmp_path: Path) -> None:
    assert newest_state(tmp_path / "nowhere") is None
    (tmp_path / "step-000000003.safetensors").write_text("rubbish")
    assert newest_state(tmp_path) is None
    assert [p.name for p in tmp_path.iterdir()] == ["step-000000003.damaged"]


def test_fsdp_cannot_go_on_and_says_what_can(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, 3)
    with pytest.raises(ConfigError, match="Go on with --strategy ddp"):
        train(tmp_path, strategy="fsdp")
