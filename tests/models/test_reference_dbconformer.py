"""Ours and the one that benchmarks compare with are one network."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional

from neurodecode.core.spec import TaskSpec
from neurodecode.models.dbconformer import DBConformer

FILE = Path(__file__).parents[2] / "benchmarks" / "reference_dbconformer.py"
SPEC = TaskSpec(ch_names=tuple(f"E{i}" for i in range(22)), n_times=1000, sfreq=250.0, n_outputs=2)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_dbconformer", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pair(reference: ModuleType) -> tuple[DBConformer, torch.nn.Module]:
    torch.manual_seed(0)
    ours = DBConformer(SPEC, dropout=0.0, head_dropout=(0.0, 0.0))
    theirs = reference.ReferenceDBConformer(dropout=0.0, head_dropout=(0.0, 0.0))
    reference.carry(ours, theirs)
    return ours, theirs


def test_sizes_are_equal(reference: ModuleType) -> None:
    theirs = reference.ReferenceDBConformer()
    assert sum(p.numel() for p in theirs.parameters()) == 93_747


@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients_are_equal(reference: ModuleType, training: bool) -> None:
    ours, theirs = pair(reference)
    x, y = torch.randn(6, 22, 1000), torch.arange(6) % 2
    logits = [net.train(training)(x) for net in (ours, theirs)]
    torch.testing.assert_close(*logits, atol=1e-5, rtol=1e-4)
    for made in logits:
        functional.cross_entropy(made, y).backward()
    with torch.no_grad():  # gradients take the place of weights, so that `carry` pairs them
        for net in (ours, theirs):
            for p in net.parameters():
                assert p.grad is not None
                p.copy_(p.grad)
    carried = DBConformer(SPEC)
    reference.carry(carried, theirs, back=True)
    for name, theirs_of in carried.state_dict().items():
        ours_of = ours.state_dict()[name]
        atol = 1e-4 * float(ours_of.abs().max()) + 1e-6
        torch.testing.assert_close(ours_of, theirs_of, atol=atol, rtol=1e-3, msg=name)


def test_both_learn_alike(reference: ModuleType) -> None:
    """Twenty steps of AdamW give the same losses, though each step divides by small gradients."""
    nets = pair(reference)
    x, y = torch.randn(8, 22, 1000), torch.arange(8) % 2
    x[y == 1, 3] *= 2
    losses = []
    for net in nets:
        optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
        losses.append([])
        for _ in range(20):
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    torch.testing.assert_close(*losses, atol=2e-3, rtol=2e-3)
    assert losses[0][-1] < 0.9 * losses[0][0]


def test_a_weight_left_over_is_an_error(reference: ModuleType) -> None:
    with pytest.raises(ValueError, match="Not carried"):
        reference.carry(DBConformer(SPEC, channel_attention=False), pair(reference)[1])
