import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toy_backbone import ToyBackbone, add_toy

from neurodecode.core.errors import CheckpointError
from neurodecode.training.pretrained import (
    build_backbone,
    load_pretrained,
    restore_backbone,
    save_pretrained,
)

SEEN = [
    {"dataset": "Set-1", "card": "set1", "subject": "3", "role": "train"},
    {"dataset": "Set-1", "card": "set1", "subject": "04", "role": "validation"},
]


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    add_toy(monkeypatch)


@pytest.fixture
def backbone() -> ToyBackbone:
    found = build_backbone("toy", {"width": 6}, 1)
    assert isinstance(found, ToyBackbone)
    return found


@pytest.fixture
def saved(backbone: ToyBackbone, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoints" / "backbone.safetensors"
    save_pretrained(
        path,
        model="toy",
        options={"width": 6},
        backbone=backbone,
        seen=SEEN,
        history=[{"step": 3, "loss": 0.5}],
        more={"kept": "best"},
    )
    return path


def change(path: Path, **header: Any) -> None:
    with safe_open(path, framework="pt") as file:
        there = json.loads(file.metadata()["neurodecode"])
    save_file(load_file(path), path, metadata={"neurodecode": json.dumps(there | header)})


def test_a_backbone_comes_back_with_all_it_says(saved: Path, backbone: ToyBackbone) -> None:
    found = load_pretrained(saved)
    assert (found.model, found.seen) == ("toy", SEEN)
    assert found.options == {"width": 6, "sfreq": 64.0, "max_chans": None}  # defaults too
    assert found.header["kept"] == "best"
    assert found.header["history"] == [{"step": 3, "loss": 0.5}]
    assert found.header["sfreq"] == 64.0
    assert len(found.fingerprint) == 64
    copy = restore_backbone(found)
    assert not copy.training
    x = torch.randn(2, 3, 64)
    assert torch.equal(copy(x), backbone.eval()(x))
    with safe_open(saved, framework="pt") as file:
        assert all(name.startswith("backbone.") for name in file.keys())  # noqa: SIM118


def test_the_same_seed_builds_the_same_backbone() -> None:
    before = torch.get_rng_state()
    one, two, other = (build_backbone("toy", {}, seed).mix.weight for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_of_another_shape_are_refused_and_nothing_is_changed(saved: Path) -> None:
    other = ToyBackbone(width=7)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"mix.weight is \(6, 16\), not \(7, 16\), and 1 more"
    ):
        load_pretrained(saved).into(other)
    assert all(torch.equal(before[n], v) for n, v in other.state_dict().items())
    tensors = load_file(saved)
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    save_file({"backbone.mix.bias": tensors["backbone.mix.bias"]}, saved, metadata=metadata)
    with pytest.raises(CheckpointError, match="mix.weight is missing"):
        restore_backbone(load_pretrained(saved))
    save_file({**tensors, "backbone.extra": torch.zeros(1)}, saved, metadata=metadata)
    with pytest.raises(CheckpointError, match="extra has no place"):
        restore_backbone(load_pretrained(saved))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"kind": "training"}, "is no pretrained backbone"),
        ({"format": 99}, "has format 99"),
        ({"seen": [{"subject": "1"}]}, "people without a name"),
        ({"seen": None}, "is damaged"),
        ({"options": None}, "is damaged"),
        ({"model": "tou"}, "cannot be rebuilt: No backbone is called 'tou'"),
        ({"options": {"depth": 3}}, "cannot be rebuilt: No option of"),
        ({"options": {"width": "wide"}}, "cannot be rebuilt"),
    ],
)
def test_a_header_that_cannot_be_used_is_one_line(
    saved: Path, header: dict[str, Any], words: str
) -> None:
    change(saved, **header)
    with pytest.raises(CheckpointError, match=words) as caught:
        restore_backbone(load_pretrained(saved))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_none_is_one_line(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        load_pretrained(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="not a whole checkpoint"):
        load_pretrained(tmp_path)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(1)}, foreign)
    with pytest.raises(CheckpointError, match="`neurodecode pretrain` makes one"):
        load_pretrained(foreign)
    saved.write_bytes(saved.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="not a whole checkpoint.*Pretrain again"):
        load_pretrained(saved)
