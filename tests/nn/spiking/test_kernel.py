"""The fused paths of the kernel give what its definition gives, and what other libraries give."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import SignalError
from neurodecode.nn.compiled import MEMBRANE
from neurodecode.nn.spiking import SURROGATES
from neurodecode.nn.spiking.kernel import RESETS, Path, Reset, membrane, using
from neurodecode.nn.spiking.surrogates import surrogate

FUSED: Sequence[Path] = ("torch", "compiled")


def need(path: Path) -> None:
    if path == "compiled" and MEMBRANE.why_not():
        pytest.skip(f"no compiled kernel: {MEMBRANE.why_not()}")


def run(
    path: Path,
    shape: Sequence[int] = (9, 3, 4, 5),
    *,
    n_decays: int = 1,
    start: bool = True,
    keep: bool = True,
    use: str = "svh",
    name: str = "atan",
    **how: Any,
) -> dict[str, Tensor]:
    """Results, and gradients of a weighted sum of some of them."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(*shape, generator=draw).requires_grad_()
    v0 = torch.rand(*shape[1:], generator=draw).requires_grad_() if start else None
    weights = [torch.randn(*shape, generator=draw) for _ in range(2)]
    decay = torch.linspace(0.3, 0.9, n_decays).requires_grad_()
    threshold = torch.linspace(0.5, 1.0, n_decays).requires_grad_()
    with using(path):
        s, v, h = membrane(
            x, v0, decay=decay, threshold=threshold, surrogate=surrogate(name), keep=keep, **how
        )
    loss = x.new_zeros(())
    if "s" in use:
        loss = loss + (s * weights[0]).sum()
    if "v" in use:
        loss = loss + v.square().sum()
    if "h" in use:
        assert h is not None
        loss = loss + (h * weights[1]).sum()
    loss.backward()
    found = {"s": s, "v": v, "gx": x.grad}
    for name, learned in {"gdecay": decay, "gthreshold": threshold}.items():
        found[name] = torch.zeros_like(learned) if learned.grad is None else learned.grad
    found |= {} if h is None else {"h": h}
    found |= {} if v0 is None else {"gv0": v0.grad}
    return {name: value for name, value in found.items() if value is not None}


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name in ("s", "v", *(("h",) if "h" in expected else ())):
        assert torch.equal(found[name], expected[name]), name
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("name", sorted(set(SURROGATES.names()) - {"pdsg"}))
@pytest.mark.parametrize("path", FUSED)
def test_fused_is_the_loop(path: Path, name: str, reset: Reset, detach_reset: bool) -> None:
    need(path)
    for n_decays in (1, 5):
        how: dict[str, Any] = {"name": name, "reset": reset, "detach_reset": detach_reset}
        how |= {"n_decays": n_decays, "v_reset": -0.1}
        assert_equal(run(path, **how), run("loop", **how))


@pytest.mark.parametrize("path", FUSED)
@pytest.mark.parametrize("use", ["s", "v", "h", "sv", "sh", "vh"])
def test_any_part_of_the_result_may_be_used(path: Path, use: str) -> None:
    need(path)
    for reset in RESETS:
        how: dict[str, Any] = {"use": use, "reset": reset, "n_decays": 5, "detach_reset": False}
        assert_equal(run(path, **how), run("loop", **how))


@pytest.mark.parametrize("path", FUSED)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 1, 1), (40, 2, 1100), (2000, 3), (4, 33000)])
def test_any_shape_and_no_start(path: Path, shape: tuple[int, ...]) -> None:
    need(path)
    for reset in RESETS:
        for n_decays in {1, shape[-1]}:
            how: dict[str, Any] = {"start": False, "reset": reset, "n_decays": n_decays}
            found, expected = run(path, shape, **how), run("loop", shape, **how)
            for gradient in ("gdecay", "gthreshold"):  # sums over many values
                found[gradient] /= 1 + expected[gradient].abs().max()
                expected[gradient] /= 1 + expected[gradient].abs().max()
            assert_equal(found, expected)


def test_width_from_the_data_is_the_same_on_both_fused_paths() -> None:
    need("compiled")
    assert_equal(run("compiled", name="pdsg"), run("torch", name="pdsg"))


@pytest.mark.parametrize("path", FUSED)
def test_currents_may_lie_in_memory_as_they_like(path: Path) -> None:
    need(path)
    x, v = torch.randn(5, 4, 3), torch.rand(4, 3)
    p = {"decay": torch.tensor([0.5]), "threshold": torch.tensor([1.0])}
    with using(path):
        plain = membrane(x, v, surrogate=surrogate("atan"), **p)
        turned = membrane(
            x.mT.contiguous().mT, v.T.contiguous().T, surrogate=surrogate("atan"), **p
        )
    assert torch.equal(plain.spikes, turned.spikes)
    assert torch.equal(plain.last, turned.last)


def test_threads_share_neurons_without_a_seam() -> None:
    need("compiled")
    x = torch.randn(8, 40, 40, 101)
    p = {"decay": torch.rand(101), "threshold": torch.rand(101) + 0.5}
    results = []
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        y = x.clone().requires_grad_()
        with using("compiled"):
            s, v, _ = membrane(y, surrogate=surrogate("atan"), **p)
            (s.sum() + v.sum()).backward()
        results.append((s, v, y.grad))
    torch.set_num_threads(1)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("reset", RESETS)
def test_gradients_of_the_torch_path_are_exact_where_nothing_spikes(reset: Reset) -> None:
    """Below the threshold the membrane is linear, so numeric derivatives exist."""

    def f(x: Tensor, v0: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        with using("torch"):
            _, last, h = membrane(
                x,
                v0,
                decay=decay,
                threshold=torch.full((1,), 1e3, dtype=torch.float64),
                reset=reset,
                surrogate=surrogate("rectangle"),
                keep=True,
            )
        assert h is not None
        return last, h

    make = {"dtype": torch.float64, "requires_grad": True}
    inputs = (torch.randn(6, 2, 3, **make), torch.randn(2, 3, **make), torch.rand(3, **make))
    assert torch.autograd.gradcheck(f, inputs)


def test_gradients_of_gradients_are_refused() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    p = {"decay": torch.tensor([0.5]), "threshold": torch.tensor([1.0])}
    s = membrane(x, surrogate=surrogate("atan"), **p).spikes
    (g,) = torch.autograd.grad(s.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad|once_differentiable"):
        g.sum().backward()


@pytest.mark.parametrize("path", ["loop", *FUSED])
def test_a_state_or_a_parameter_of_another_shape_is_one_line(path: Path) -> None:
    need(path)
    x, one = torch.zeros(3, 5, 4), torch.ones(1)
    with using(path):
        with pytest.raises(SignalError, match=r"remember \(1, 4\) on cpu"):
            membrane(x, torch.zeros(1, 4), decay=one, threshold=one, surrogate=surrogate("atan"))
        with pytest.raises(SignalError, match="3 decays and 1 thresholds"):
            membrane(x, decay=torch.ones(3), threshold=one, surrogate=surrogate("atan"))


def test_half_precision_is_added_up_in_single() -> None:
    one = torch.ones(1)
    x = torch.full((400, 1, 1), 0.003, dtype=torch.bfloat16)
    found = membrane(x, decay=one, threshold=one, surrogate=surrogate("atan"))
    assert found.last.dtype == torch.float32
    assert found.spikes.sum() == 1


def test_no_steps_no_spikes() -> None:
    p = {"decay": torch.tensor([0.5]), "threshold": torch.tensor([1.0])}
    s, v, _ = membrane(torch.zeros(0, 2, 3), torch.ones(2, 3), surrogate=surrogate("atan"), **p)
    assert s.shape == (0, 2, 3)
    assert torch.equal(v, torch.ones(2, 3))


@pytest.mark.parametrize("path", ["loop", *FUSED])
def test_the_backward_pass_grows_with_the_steps_and_not_their_square(path: Path) -> None:
    """What autograd has to fill is counted, not the time it takes."""
    need(path)

    def allocated(n_steps: int) -> int:
        x = torch.randn(n_steps, 2, 3, requires_grad=True)
        p = {"decay": torch.tensor([0.5]), "threshold": torch.tensor([1.0])}
        with using(path):
            s = membrane(x, surrogate=surrogate("atan"), **p).spikes
        with torch.profiler.profile(profile_memory=True, acc_events=True) as profile:
            s.sum().backward()
        return sum(max(0, e.self_cpu_memory_usage) for e in profile.events())

    assert allocated(400) < 8 * allocated(100)


def spikingjelly() -> tuple[Any, Any]:
    """Its neurons and surrogates; the test is skipped where it is absent."""
    where, why = "spikingjelly.activation_based", "spikingjelly is absent"
    parts = [pytest.importorskip(f"{where}.{name}", reason=why) for name in ("neuron", "surrogate")]
    return parts[0], parts[1]


def peer_result(spikes: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    weight = torch.randn(spikes.shape, generator=torch.Generator().manual_seed(1))
    (spikes * weight).sum().backward()
    assert x.grad is not None
    return spikes.detach(), x.grad


def ours(
    x: Tensor, reset: Reset, decay: float, *, detach_reset: bool = True
) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    made = membrane(
        x,
        decay=torch.tensor([decay]),
        threshold=torch.tensor([1.0]),
        surrogate=surrogate("atan"),
        reset=reset,
        detach_reset=detach_reset,
    )
    return peer_result(made.spikes, x)


@pytest.mark.parametrize("decay", [0.5, 1.0])
@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.filterwarnings("ignore")
def test_equals_spikingjelly(reset: Reset, decay: float) -> None:
    """LIF with tau = 2, and IF; arc tangent, detached reset, no decay of the input."""
    neurons, surrogates = spikingjelly()
    options = {
        "v_reset": None if reset == "soft" else 0.0,
        "surrogate_function": surrogates.ATan(alpha=2.0),
        "detach_reset": True,
        "step_mode": "m",
    }
    neuron = (
        neurons.LIFNode(tau=2.0, decay_input=False, **options)
        if decay < 1
        else neurons.IFNode(**options)
    )
    x = torch.randn(30, 4, 8)
    y = x.clone().requires_grad_()
    spikes, gradient = peer_result(neuron(y), y)
    mine, my_gradient = ours(x, reset, decay)
    assert torch.equal(mine, spikes)
    torch.testing.assert_close(my_gradient, gradient, atol=1e-6, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_parametric_lif_equals_spikingjelly() -> None:
    """PLIF: the decay is one minus a sigmoid, and learns; the gradient of it agrees too."""
    neurons, surrogates = spikingjelly()
    neuron = neurons.ParametricLIFNode(
        init_tau=2.5,
        decay_input=False,
        v_reset=None,
        surrogate_function=surrogates.ATan(alpha=2.0),
        detach_reset=True,
        step_mode="m",
    )
    x = torch.randn(30, 4, 8)
    y = x.clone().requires_grad_()
    spikes, gradient = peer_result(neuron(y), y)
    w = neuron.w.detach().clone().requires_grad_()
    z = x.clone().requires_grad_()
    found = membrane(
        z,
        decay=(1 - w.sigmoid()).reshape(1),
        threshold=torch.tensor([1.0]),
        surrogate=surrogate("atan"),
    )
    mine, my_gradient = peer_result(found.spikes, z)
    assert torch.equal(mine, spikes)
    torch.testing.assert_close(my_gradient, gradient, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(w.grad, neuron.w.grad, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("decay", [0.5, 1.0])
@pytest.mark.filterwarnings("ignore")
def test_equals_snntorch(decay: float) -> None:
    """Leaky with its `reset_delay` off, by subtraction; a membrane above two thresholds is reset
    once more by the step after in snntorch, so currents are kept below that.
    """
    snn = pytest.importorskip("snntorch", reason="snntorch is absent")
    leaky = snn.Leaky(
        beta=decay,
        threshold=1.0,
        reset_mechanism="subtract",
        reset_delay=False,
        spike_grad=snn.surrogate.atan(alpha=2.0),
    )
    x = 0.9 * torch.rand(30, 4, 8)
    y = x.clone().requires_grad_()
    v = leaky.init_leaky()
    spikes = []
    for current in y.unbind(0):
        s, v = leaky(current, v)
        spikes.append(s)
    whole, gradient = peer_result(torch.stack(spikes), y)
    mine, my_gradient = ours(x, "soft", decay, detach_reset=False)
    assert whole.any()
    assert torch.equal(mine, whole)
    torch.testing.assert_close(my_gradient, gradient, atol=1e-6, rtol=1e-5)
