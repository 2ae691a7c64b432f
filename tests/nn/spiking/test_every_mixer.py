"""What every mixer owes, over the registry."""

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from neurodecode.core.errors import ConfigError
from neurodecode.nn.spiking.mixers import MIXERS
from neurodecode.nn.spiking.mixers.lmu import LegendreMemory
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import NeighbourConv
from neurodecode.nn.spiking.stateful import FeatureNorm, State, Stateful, detached
from neurodecode.nn.spiking.watch import watch

N_STEPS, BATCH, N_TOKENS, WIDTH = 7, 3, 5, 8
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "dwc": [{"kernel": 5}],
    "lidiff": [{"form": "mask"}],
    "lmu": [{"order": 4, "theta": 40.0}],
    "qsd": [{"form": "mask"}, {"n_neighbours": 1, "bits": 2}],
    "sdsa": [{"form": "mask"}, {"n_neighbours": 1}],
    "ssa": [{"memory": "far"}],
    "statten": [{"chunk": 1}, {"chunk": 3}],
}
CASES = [(name, options) for name in MIXERS.names() for options in ({}, *OPTIONS.get(name, []))]
NEURONS = ["lif", "plif", "relu"]


def label(value: object) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


every_mixer = pytest.mark.parametrize(("name", "options"), CASES, ids=label)
every_neuron = pytest.mark.parametrize("neuron", NEURONS)


def build(name: str, options: dict[str, Any], neuron: str = "lif", width: int = WIDTH) -> Stateful:
    torch.manual_seed(0)
    population = Population(neuron)
    return MIXERS.get(name)(width, n_heads=2, dt=0.004, population=population, **options)


def membranes(n_steps: int = N_STEPS, n_tokens: int = N_TOKENS, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(n_steps, BATCH, n_tokens, WIDTH, generator=generator)


def ready(name: str, options: dict[str, Any], neuron: str = "lif") -> Stateful:
    """In eval mode, with norms that have seen data, so that neurons behind them spike."""
    mixer = build(name, options, neuron)
    for part in mixer.modules():
        if isinstance(part, FeatureNorm):
            part.momentum = 1.0
    with torch.no_grad():
        mixer(membranes(seed=2))
    return mixer.eval()


def in_pieces(mixer: Stateful, x: Tensor, cuts: tuple[int, ...]) -> Tensor:
    state: State = None
    parts = []
    for first, last in itertools.pairwise((0, *cuts, len(x))):
        y, state = mixer(x[first:last], state)
        parts.append(y)
    return torch.cat(parts)


def test_there_are_mixers_to_look_at() -> None:
    assert {"ssa", "sdsa", "statten", "lidiff", "lidiff_fb"} <= set(MIXERS.names())
    assert {"dwc", "qsd", "lmu", "rwkv"} <= set(MIXERS.names())
    assert set(OPTIONS) <= set(MIXERS.names())


@pytest.mark.parametrize("name", MIXERS.names())
def test_the_signature_is_that_of_a_mixer(name: str) -> None:
    parameters = inspect.signature(MIXERS.get(name)).parameters
    assert next(iter(parameters)) == "width"
    assert {"n_heads", "dt", "population"} <= set(parameters)


@every_mixer
@every_neuron
@pytest.mark.parametrize("n_tokens", [1, 2, 128])
def test_currents_have_the_shape_of_the_membranes(
    name: str, options: dict[str, Any], neuron: str, n_tokens: int
) -> None:
    x = membranes(3, n_tokens)
    y, state = build(name, options, neuron)(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.isfinite().all()
    assert isinstance(state, tuple)


@every_mixer
@every_neuron
def test_gradients_reach_every_parameter_and_the_input(
    name: str, options: dict[str, Any], neuron: str
) -> None:
    mixer, x = build(name, options, neuron), membranes().requires_grad_()
    y, _ = mixer(x)
    (y * torch.randn_like(y)).sum().backward()
    gradients = {name: p.grad for name, p in mixer.named_parameters()} | {"input": x.grad}
    assert [name for name, g in gradients.items() if g is None or not g.any()] == []
    assert [name for name, g in gradients.items() if g is not None and not g.isfinite().all()] == []


@every_mixer
@every_neuron
@pytest.mark.parametrize("cuts", [(1,), (3,), (2, 3, 6), tuple(range(1, N_STEPS))], ids=str)
def test_pieces_give_what_the_whole_gives(
    name: str, options: dict[str, Any], neuron: str, cuts: tuple[int, ...]
) -> None:
    mixer, x = ready(name, options, neuron), membranes()
    with torch.no_grad():
        whole, _ = mixer(x)
        torch.testing.assert_close(in_pieces(mixer, x, cuts), whole, atol=1e-4, rtol=1e-4)


@every_mixer
@every_neuron
def test_what_comes_later_changes_nothing_earlier(
    name: str, options: dict[str, Any], neuron: str
) -> None:
    mixer, x = ready(name, options, neuron), membranes()
    for cut in range(1, N_STEPS):
        changed = x.clone()
        changed[cut:] = membranes(seed=3)[cut:]
        with torch.no_grad():
            (before, _), (after, _) = mixer(x), mixer(changed)
        torch.testing.assert_close(after[:cut], before[:cut], atol=1e-6, rtol=0)
        assert not torch.equal(after[cut:], before[cut:])


@every_mixer
@every_neuron
def test_a_window_is_mixed_alike_alone_and_in_a_batch(
    name: str, options: dict[str, Any], neuron: str
) -> None:
    mixer, x = ready(name, options, neuron), membranes()
    with torch.no_grad():
        torch.testing.assert_close(mixer(x[:, 1:2])[0], mixer(x)[0][:, 1:2], atol=1e-4, rtol=1e-4)


@every_mixer
def test_two_mixers_and_two_streams_do_not_disturb_each_other(
    name: str, options: dict[str, Any]
) -> None:
    mixer, other = ready(name, options), ready(name, options)
    x, z = membranes(), membranes(seed=4)
    with torch.no_grad():
        whole, _ = mixer(x)
        first, state = mixer(x[:3])
        other(z)
        mixer(z)
        second, _ = mixer(x[3:], state)
        torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-4, rtol=1e-4)
        assert torch.equal(mixer(x)[0], whole)


@every_mixer
def test_a_state_is_left_as_it_was(name: str, options: dict[str, Any]) -> None:
    mixer, x = ready(name, options), membranes()
    with torch.no_grad():
        _, state = mixer(x[:4])
        first, _ = mixer(x[4:], state)
        again, _ = mixer(x[4:], state)
    assert torch.equal(first, again)


@every_mixer
def test_a_detached_state_goes_on_and_is_cut_off(name: str, options: dict[str, Any]) -> None:
    mixer, x = build(name, options), membranes().requires_grad_()
    _, state = mixer(x[:3])
    y, _ = mixer(x[3:], detached(state))
    y.square().sum().backward()
    assert x.grad is not None
    assert not x.grad[:3].any()
    assert x.grad[3:].any()


@every_mixer
@every_neuron
def test_weights_survive_being_saved(name: str, options: dict[str, Any], neuron: str) -> None:
    mixer, copy = ready(name, options, neuron), build(name, options, neuron).eval()
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.mul_(1.1)
        before, _ = mixer(membranes())
        assert not torch.equal(copy(membranes())[0], before)
        copy.load_state_dict(mixer.state_dict())
        assert torch.equal(copy(membranes())[0], before)


SHARED = ("lidiff", "lidiff_fb", "qsd", "sdsa", "ssa", "statten")


@pytest.mark.parametrize("name", SHARED)
def test_heads_that_do_not_share_the_features_are_refused(name: str) -> None:
    for width, n_heads in ((7, 2), (8, 3), (8, 0)):
        with pytest.raises(ConfigError, match=f"width={width} .* n_heads={n_heads}") as refused:
            MIXERS.get(name)(width, n_heads=n_heads, dt=0.004, population=Population("lif"))
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(set(MIXERS.names()) - set(SHARED)))
def test_any_width_does_where_heads_share_nothing(name: str) -> None:
    mixer = MIXERS.get(name)(7, n_heads=2, dt=0.004, population=Population("lif"))
    assert mixer(torch.randn(2, 1, 3, 7))[0].shape == (2, 1, 3, 7)


def whole(x: Tensor) -> bool:
    """Whether all values are whole numbers, as spikes, counts and products of them are."""
    return torch.equal(x, x.round())


class Products(TorchFunctionMode):
    """Collects what is multiplied by ``@``."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.matmul, Tensor.matmul, Tensor.__matmul__):
            self.found += args
        return func(*args, **(kwargs or {}))


@every_mixer
def test_weights_and_products_only_meet_spikes(name: str, options: dict[str, Any]) -> None:
    mixer, met = ready(name, options), list[tuple[str, Tensor]]()
    for part_name, part in mixer.named_modules():
        if isinstance(part, nn.Linear | NeighbourConv):

            def keep(module: nn.Module, given: tuple[Tensor], part_name: str = part_name) -> None:
                met.append((part_name, given[0]))

            part.register_forward_pre_hook(keep)
    with torch.no_grad(), Products() as products, watch(mixer) as watched:
        mixer(membranes())
    assert met
    assert [part for part, given in met if not bool(given.any())] == []
    assert [part for part, given in met if not whole(given)] == []
    if not any(isinstance(part, LegendreMemory) for part in mixer.modules()):  # its own dynamics
        assert all(whole(factor) for factor in products.found)
    for population, (spikes,) in {k: v[:1] for k, v in watched.spikes.items()}.items():
        assert 0 < spikes.mean() < 1, population


def test_another_form_is_refused() -> None:
    for name in ("sdsa", "qsd", "lidiff"):
        with pytest.raises(ConfigError, match="form='softmax' is not one of product, mask"):
            build(name, {"form": "softmax"})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("statten", {"chunk": 0}, "chunk=0 holds no step"),
        ("dwc", {"kernel": 1}, "kernel=1 reaches no neighbour"),
        ("dwc", {"kernel": 4}, "over 4 tokens has no centre"),
        ("sdsa", {"n_neighbours": 2}, "over 2 tokens has no centre"),
        ("qsd", {"bits": 1}, "bits=1 leaves no level"),
        ("lmu", {"order": 0}, "order=0 leaves no polynomial"),
        ("lmu", {"theta": 1.0}, "theta=1.0 ms is shorter than a step of 4 ms"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build(name, options)
