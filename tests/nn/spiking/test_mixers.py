"""Mixers with a known answer."""

import math

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor, nn
from torch.nn import functional

from neurodecode.nn.spiking.embed import MaxPoolEmbed
from neurodecode.nn.spiking.mixers.dwc import DepthwiseMixer
from neurodecode.nn.spiking.mixers.lidiff import LateralInhibition
from neurodecode.nn.spiking.mixers.lidiff_fb import FeedbackInhibition
from neurodecode.nn.spiking.mixers.lmu import LegendreMemory, SpikingLMU, legendre
from neurodecode.nn.spiking.mixers.rwkv import SpikingRWKV, fading_average
from neurodecode.nn.spiking.mixers.sdsa import SpikeDrivenAttention
from neurodecode.nn.spiking.mixers.ssa import SpikingSelfAttention
from neurodecode.nn.spiking.mixers.statten import SpatialTemporalAttention
from neurodecode.nn.spiking.neurons import Population
from neurodecode.nn.spiking.projection import TokenProjection
from neurodecode.nn.spiking.quantised import LSQ, LSQLinear
from neurodecode.nn.spiking.stateful import Stateful

N_STEPS, BATCH, N_TOKENS, WIDTH, N_HEADS = 7, 2, 4, 8, 2
LIF = Population("lif")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def membranes(n_steps: int = N_STEPS, n_tokens: int = N_TOKENS) -> Tensor:
    return 2 * torch.randn(n_steps, BATCH, n_tokens, WIDTH)


def seen_inside(mixer: Stateful, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Spikes of the projections and what the mixer makes of them, and its output."""
    projected, mixed = [], []
    mixer.project_spikes.register_forward_hook(lambda _, given, made: projected.append(made[0]))
    mixer.mixed_norm.register_forward_pre_hook(lambda _, given: mixed.append(given[0]))
    with torch.no_grad():
        out, _ = mixer(x)
    return projected[0], mixed[0], out


def head(x: Tensor, part: int, number: int) -> Tensor:
    """One head of one part: (n_steps, batch, n_tokens, n_parts * width) to (..., features)."""
    size = WIDTH // N_HEADS
    return x[..., part * WIDTH + number * size :][..., :size]


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The map written out: (n_queries, features) and (n_keys, features)."""
    return (q @ k.T) @ v


def by_loop(x: Tensor, first_of: list[int]) -> Tensor:
    """Attention of every step to the tokens of the steps from `first_of` it to itself."""
    out = torch.empty(*x.shape[:3], WIDTH)
    for t, b, h in np.ndindex(N_STEPS, BATCH, N_HEADS):
        q, k, v = (head(x, part, h)[:, b] for part in range(3))
        steps = slice(first_of[t], t + 1)
        found = attention(q[t], k[steps].flatten(0, 1), v[steps].flatten(0, 1))
        head(out, 0, h)[t, b] = found
    return out


def test_far_memory_is_attention_to_all_tokens_so_far() -> None:
    mixer = SpikingSelfAttention(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF, memory="far")
    x, mixed, _ = seen_inside(mixer, membranes())
    assert x.any()
    torch.testing.assert_close(mixed, by_loop(x, [0] * N_STEPS))


@pytest.mark.parametrize("chunk", [1, 2, 3, 10])
def test_a_chunk_is_attended_to_up_to_the_present_step(chunk: int) -> None:
    mixer = SpatialTemporalAttention(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF, chunk=chunk)
    x, mixed, _ = seen_inside(mixer, membranes())
    torch.testing.assert_close(mixed, by_loop(x, [t // chunk * chunk for t in range(N_STEPS)]))


def test_spike_driven_attention_is_that_of_all_tokens_of_a_step() -> None:
    mixer = SpikeDrivenAttention(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF)
    x, mixed, _ = seen_inside(mixer, membranes())
    torch.testing.assert_close(mixed, by_loop(x, list(range(N_STEPS))))


def test_masks_count_where_keys_and_values_spike_together() -> None:
    mixer = SpikeDrivenAttention(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF, form="mask")
    masked: list[Tensor] = []
    mixer.output.register_forward_pre_hook(lambda _, given: masked.append(given[0]))
    x, counts, _ = seen_inside(mixer, membranes())
    q, k, v = x.chunk(3, dim=-1)
    together = ((k > 0) & (v > 0)).sum(2, keepdim=True)
    assert torch.equal(counts, together.float())
    assert masked[0].any()
    assert not masked[0][q == 0].any()
    let_through = masked[0].amax(2, keepdim=True) > 0
    assert torch.equal(masked[0], torch.where(let_through, q, 0))


def test_a_projection_is_one_convolution() -> None:
    project = TokenProjection(WIDTH, 2, n_neighbours=3)
    weight = torch.zeros(2 * WIDTH, WIDTH, 3)
    weight[..., 1] = project.features.weight
    weight[torch.arange(2 * WIDTH), torch.arange(2 * WIDTH) % WIDTH] += project.neighbours.weight
    x = torch.randint(0, 2, (N_STEPS, BATCH, N_TOKENS, WIDTH)).float()
    folded = functional.conv1d(x.flatten(0, 1).mT, weight, padding=1).mT
    torch.testing.assert_close(project(x).flatten(0, 1), folded)


@pytest.mark.parametrize("inhibition", [(0.0, 0.0), (1.0, 1.0), (0.5, 2.0)])
def test_inhibition_is_the_second_of_two_maps(inhibition: tuple[float, float]) -> None:
    mixer = LateralInhibition(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF)
    assert torch.equal(mixer.inhibition, torch.ones(N_HEADS))
    mixer.inhibition.data = torch.tensor(inhibition)
    x, mixed, _ = seen_inside(mixer, membranes())
    half = WIDTH // N_HEADS // 2
    for t, b, h in np.ndindex(N_STEPS, BATCH, N_HEADS):
        q, k, v = (head(x, part, h)[t, b] for part in range(3))
        excites = attention(q[:, :half], k[:, :half], v)  # with a weight of 0, this map alone
        inhibits = attention(q[:, half:], k[:, half:], v)
        found = head(mixed, 0, h)[t, b]
        torch.testing.assert_close(found, excites - inhibition[h] * inhibits)
    assert mixed.any()


def test_a_key_passes_where_queries_that_excite_outnumber_those_that_inhibit() -> None:
    mixer = LateralInhibition(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF, form="mask")
    x, counts, _ = seen_inside(mixer, membranes())
    half = WIDTH // N_HEADS // 2
    for h in range(N_HEADS):
        q = head(x, 0, h)
        assert torch.equal(counts[..., h], q[..., :half].sum(-1) - q[..., half:].sum(-1))


def test_feedback_is_weighed_by_likeness_to_two_prompts() -> None:
    mixer = FeedbackInhibition(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF)
    s = torch.randint(0, 2, (N_STEPS, BATCH, N_TOKENS, WIDTH)).float()
    s[0, 0, 0] = 0
    likeness = mixer._likeness(s)
    cosines = [functional.cosine_similarity(s, p, dim=-1).clamp(min=0) for p in mixer.prompts]
    torch.testing.assert_close(likeness.squeeze(-1), cosines[0] - cosines[1])
    with torch.no_grad():
        mixer.prompts.copy_(mixer.prompts.flip(0))
    torch.testing.assert_close(mixer._likeness(s), -likeness)


def test_without_feedback_the_second_pass_is_the_first() -> None:
    mixer = FeedbackInhibition(WIDTH, n_heads=N_HEADS, dt=0.1, population=LIF)
    outputs: list[Tensor] = []
    for norm in mixer.output_norms:
        norm.register_forward_hook(lambda _, given, made: outputs.append(made))
    mixer(membranes())
    assert not torch.equal(*outputs)
    outputs.clear()
    mixer.decode.parts[-2].bias.data.fill_(-100.0)  # so that the decoder never spikes
    mixer(membranes())
    torch.testing.assert_close(*outputs)


@pytest.mark.parametrize("kernel", [3, 5])
def test_depthwise_mixer_reaches_half_a_kernel(kernel: int) -> None:
    mixer = DepthwiseMixer(WIDTH, dt=0.1, population=LIF, kernel=kernel).eval()
    x = torch.zeros(1, 1, 11, WIDTH)
    still, _ = mixer(x)
    x[:, :, 5] = 10.0
    moved, _ = mixer(x)
    reached = (moved != still).any(-1)[0, 0]
    assert torch.equal(reached.nonzero().squeeze(1), torch.arange(11)[5 - kernel // 2 :][:kernel])
    conv = functional.conv1d(
        (x[0] > 0).float().mT, mixer.filters.weight.unsqueeze(1), padding=kernel // 2, groups=WIDTH
    )
    torch.testing.assert_close(moved[0] - still[0], conv.mT / math.sqrt(1 + 1e-5))


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 4, 7, 128])
def test_embedding_halves_tokens_and_rounds_up(n_tokens: int) -> None:
    embed = MaxPoolEmbed(WIDTH, 5, dt=0.1, population=LIF)
    x = membranes(6, n_tokens)
    y, state = embed(x)
    assert y.shape == (6, BATCH, math.ceil(n_tokens / 2), 5)
    embed.eval()
    whole, _ = embed(x)
    first, state = embed(x[:2])
    second, _ = embed(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_embedding_keeps_the_largest_of_three_and_every_second() -> None:
    embed = MaxPoolEmbed(1, dt=0.1, population=LIF).eval()
    nn.init.ones_(embed.pooled.weight)
    nn.init.constant_(embed.kept.weight, 10.0)
    x = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]).view(1, 1, -1, 1)
    y, _ = embed(x)
    expected = torch.tensor([0.0, 1.0, 11.0, 0.0]) / math.sqrt(1 + 1e-5)
    torch.testing.assert_close(y.flatten(), expected)


@pytest.mark.parametrize(("order", "window"), [(1, 4.0), (8, 16.0), (12, 100.0)])
def test_the_memory_is_discretised_exactly(order: int, window: float) -> None:
    i, j = np.indices((order, order))
    a = (2 * i + 1) / window * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = ((2 * i + 1) * (-1.0) ** i)[:, :1] / window
    step, write, *_ = signal.cont2discrete((a, b, np.eye(order), b), 1.0)
    ours, wrote = legendre(order, window)
    np.testing.assert_allclose(ours.numpy(), step, atol=1e-10)
    np.testing.assert_allclose(wrote.numpy(), write[:, 0], atol=1e-10)


@pytest.mark.parametrize("order", [1, 8, 16])
@pytest.mark.parametrize("n_steps", [1, 31, 32, 33, 1000])
def test_memory_in_blocks_is_the_recurrence(order: int, n_steps: int) -> None:
    memory = LegendreMemory(order, theta=64.0, dt=0.004)
    step, write = (part.float() for part in legendre(order, 16.0))
    x = torch.randint(0, 2, (n_steps, 3, 2)).float()
    m = torch.randn(3, 2, order)
    together, last = memory(x, m)
    one_by_one = []
    for u in x:
        m = m @ step.T + u.unsqueeze(-1) * write
        one_by_one.append(m)
    torch.testing.assert_close(together, torch.stack(one_by_one), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(last, m, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("delay", [0.25, 0.5, 1.0])
def test_memory_tells_what_was_put_in_earlier(delay: float) -> None:
    """u(t - delay theta) is the sum of Legendre polynomials at 2 delay - 1, times the memory."""
    theta, dt = 200.0, 0.004
    t = torch.arange(250) * dt
    u = torch.sin(2 * math.pi * 3.0 * t)
    m, _ = LegendreMemory(8, theta=theta, dt=dt)(u.unsqueeze(1))
    polynomials = np.polynomial.legendre.legval(2 * delay - 1, np.eye(8))
    found = (m[:, 0].double() @ torch.tensor(polynomials)).numpy()
    lag = round(delay * theta / 1e3 / dt)
    assert np.corrcoef(found[50 + lag :], u[50:-lag])[0, 1] > 0.95
    assert np.corrcoef(found[50 + lag :], u[50 + lag :])[0, 1] < 0.9


def test_a_constant_is_remembered_as_a_constant() -> None:
    m, _ = LegendreMemory(6, theta=64.0, dt=0.004)(torch.ones(200, 1))
    torch.testing.assert_close(m[-1, 0], torch.eye(6)[0], atol=1e-4, rtol=0)


def test_memory_units_do_not_look_at_other_tokens() -> None:
    mixer, x = SpikingLMU(WIDTH, dt=0.1, population=LIF).eval(), membranes()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(mixer(x[:, :, order])[0], mixer(x)[0][:, :, order])


def written_out(k: Tensor, v: Tensor, decay: Tensor, bonus: Tensor) -> Tensor:
    """The average of every token by its definition, in double precision."""
    k, v, decay, bonus = (x.double() for x in (k, v, decay, bonus))
    out = []
    for t in range(len(k)):
        age = t - 1 - torch.arange(t).view(-1, 1, 1)
        weights = torch.cat([decay**age * k[:t].exp(), (bonus + k[t : t + 1]).exp()])
        out.append((weights * v[: t + 1]).sum(0) / weights.sum(0))
    return torch.stack(out)


@pytest.mark.parametrize("spread", [1.0, 6.0])
def test_fading_average_is_its_definition(spread: float) -> None:
    k = (spread * torch.randn(60, 3, WIDTH)).clamp(-26, 26).requires_grad_()  # none is clipped
    v = torch.randint(0, 2, (60, 3, WIDTH)).float().requires_grad_()
    decay = torch.linspace(0.1, 0.99, WIDTH).requires_grad_()
    bonus = torch.randn(WIDTH).requires_grad_()
    ours, _ = fading_average(k, v, decay, bonus, None)
    definition = written_out(k, v, decay, bonus).float()
    torch.testing.assert_close(ours, definition, atol=1e-4, rtol=1e-4)
    direction = torch.randn_like(ours)
    inputs = (k, v, decay, bonus)
    torch.testing.assert_close(
        torch.autograd.grad((ours * direction).sum(), inputs),
        torch.autograd.grad((definition * direction).sum(), inputs),
        atol=1e-3,
        rtol=1e-3,
    )
    first, state = fading_average(k[:17], v[:17], decay, bonus, None)
    second, _ = fading_average(k[17:], v[17:], decay, bonus, state)
    torch.testing.assert_close(torch.cat([first, second]), ours)


def test_extreme_keys_stay_finite() -> None:
    k = torch.tensor([-1e4, 1e4]).repeat(10_000).view(-1, 1, 1)
    v = torch.ones_like(k)
    average, _ = fading_average(k, v, torch.tensor([0.9999]), torch.tensor([3.0]), None)
    torch.testing.assert_close(average, v)


def test_tokens_of_a_step_come_in_order() -> None:
    mixer, x = SpikingRWKV(WIDTH, dt=0.1, population=LIF), membranes(2)
    for norm in (mixer.project_norm, mixer.mixed_norm):
        norm.momentum = 1.0  # so that neurons spike
    mixer(x)
    mixer.eval()
    changed = x.clone()
    changed[1, :, 2] += 3.0
    before, after = mixer(x)[0], mixer(changed)[0]
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1, :, :2], before[1, :, :2])
    assert not torch.equal(after[1, :, 3], before[1, :, 3])


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_quantised_weights_lie_on_levels(bits: int) -> None:
    weight = torch.randn(40, 30)
    quantiser = LSQ(weight, bits)
    highest = 2 ** (bits - 1) - 1
    step = 2 * weight.abs().mean() / math.sqrt(highest)
    torch.testing.assert_close(quantiser.step.squeeze(), step)
    levels = quantiser.levels(weight)
    torch.testing.assert_close(quantiser(weight), levels * step)
    assert levels.min() >= -highest - 1
    assert levels.max() <= highest
    assert torch.equal(levels, levels.round())
    assert len(quantiser.levels(step * torch.linspace(-200, 200, 4001)).unique()) == 2**bits
    inside = (weight / step).abs() < highest
    assert ((quantiser(weight) - weight).abs()[inside] <= step / 2 + 1e-6).all()


def test_quantiser_learns_by_the_equations_of_its_paper() -> None:
    """Equation 3 for the step, and the identity within the levels for the weights."""
    step, bits = 0.5, 3
    weight = torch.tensor([-9.0, -0.6, 0.1, 0.7, 9.0], requires_grad=True)
    quantiser = LSQ(weight, bits)
    with torch.no_grad():
        quantiser.step.fill_(step)
    quantiser(weight).sum().backward()
    ratio = weight.detach() / step
    slopes = torch.where(ratio <= -4, -4, torch.where(ratio >= 3, 3, ratio.round() - ratio))
    expected = slopes.sum() / math.sqrt(weight.numel() * 3)
    torch.testing.assert_close(quantiser.step.grad.squeeze(), expected)
    torch.testing.assert_close(weight.grad, torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]))


def test_a_quantised_layer_is_its_levels_times_its_step() -> None:
    layer, spikes = LSQLinear(16, 8), torch.randint(0, 5, (3, 16)).float()
    levels = layer.levels()
    assert levels.unique().numel() <= 16
    torch.testing.assert_close(layer(spikes), (spikes @ levels.T) * layer.quantise.step)
