"""What every encoder owes: whole events, live and offline the same, a way back, a gradient."""

import pytest
import torch
from torch import Tensor

from neurodecode.core.errors import SignalError
from neurodecode.nn.spiking import kernel
from neurodecode.nn.spiking.encoders import ENCODERS, Encoder, signed
from neurodecode.nn.spiking.encoders.measure import measure

DT = 0.004
KINDS = [(name, {}) for name in ENCODERS.names()] + [
    ("rate", {"random": True}),
    ("send_on_delta", {"limit": 1}),
    ("sigma_delta", {"limit": 1}),
]


def build(kind: tuple[str, dict], n_features: int = 5) -> Encoder:
    name, options = kind
    torch.manual_seed(0)
    return ENCODERS.get(name)(n_features, dt=DT, **options)


def wave(n_times: int = 201, n_features: int = 5, batch: int = 3, seed: int = 0) -> Tensor:
    """A random walk that forgets, of unit deviation."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.zeros(batch, n_features)
    steps = []
    for noise in torch.randn(n_times, batch, n_features, generator=generator).unbind(0):
        x = 0.9 * x + 0.19**0.5 * noise
        steps.append(x)
    return torch.stack(steps)


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join([kind[0], *kind[1]]))
def kind(request: pytest.FixtureRequest) -> tuple[str, dict]:
    return request.param


def test_there_are_encoders() -> None:
    assert len(ENCODERS.names()) >= 8


@pytest.mark.parametrize(("n_features", "n_times"), [(1, 33), (128, 7), (5, 1), (3, 0)])
def test_shapes_and_types(kind: tuple[str, dict], n_features: int, n_times: int) -> None:
    encoder = build(kind, n_features)
    assert encoder.n_outputs == 2 * n_features
    x = torch.randn(n_times, 2, 3, n_features)  # a place axis between batch and features
    events, state = encoder(x)
    assert events.shape == (n_times * encoder.steps_per_sample, 2, 3, encoder.n_outputs)
    assert events.dtype == x.dtype
    rebuilt, _ = encoder.decode(events)
    assert rebuilt.shape == x.shape
    more, _ = encoder(x, state)
    assert more.shape == events.shape


def test_events_are_small_whole_numbers_and_there_are_some(kind: tuple[str, dict]) -> None:
    events, _ = build(kind)(wave())
    assert bool((events >= 0).all())
    assert torch.equal(events, events.round())
    assert events.sum() > 50
    assert events.max() <= 8
    on, off = events.chunk(2, dim=-1)
    assert bool(on.any())
    assert bool(off.any())


@pytest.mark.parametrize("path", ["compiled", "torch"])
@pytest.mark.parametrize("sizes", [(1, 200), (67, 134), (1,) * 5 + (196,)])
def test_pieces_give_what_the_whole_gives(
    kind: tuple[str, dict], sizes: tuple[int, ...], path: kernel.Path
) -> None:
    encoder, x = build(kind), wave()
    with torch.no_grad(), kernel.using(path):
        whole, _ = encoder(x)
        again, _ = encoder.decode(whole)
        state, memory, parts, rebuilt = None, None, [], []
        for piece in x.split(sizes):
            events, state = encoder(piece, state)
            y, memory = encoder.decode(events, memory)
            parts.append(events)
            rebuilt.append(y)
    assert torch.equal(torch.cat(parts), whole)
    torch.testing.assert_close(torch.cat(rebuilt), again)


def test_both_paths_give_the_same_events(kind: tuple[str, dict]) -> None:
    encoder, x = build(kind, 37), wave(n_features=37)
    with kernel.using("compiled"):
        compiled, _ = encoder(x)
    with kernel.using("torch"):
        assert torch.equal(encoder(x)[0], compiled)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind[1].get("random")])
def test_a_trial_is_coded_alike_alone_and_in_a_batch(kind: tuple[str, dict]) -> None:
    """But for draws, which are handed out in order."""
    encoder, x = build(kind), wave()
    assert torch.equal(encoder(x[:, :1])[0], encoder(x)[0][:, :1])


def test_future_samples_do_not_matter(kind: tuple[str, dict]) -> None:
    encoder, x = build(kind), wave()
    other = torch.cat([x[:100], wave(seed=1)[100:]])
    cut = 100 * encoder.steps_per_sample
    assert torch.equal(encoder(x)[0][:cut], encoder(other)[0][:cut])


def test_the_gradient_reaches_the_signal_and_every_parameter(kind: tuple[str, dict]) -> None:
    encoder, x = build(kind), wave().requires_grad_()
    events, _ = encoder(x)
    (events * torch.randn_like(events)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
    assert bool(x.grad.flatten(0, 1).any(dim=0).all())
    idle = [name for name, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("name", sorted(set(ENCODERS.names()) - {"direct", "learnable"}))
def test_straight_through_is_the_identity_through_encoder_and_decoder(name: str) -> None:
    options = {"sigma_delta": {"tau": 0.0}, "adaptive_count": {"limit": 50}}.get(name, {})
    x = (wave() / 2).requires_grad_()  # within full scale
    encoder = build((name, options))
    rebuilt, _ = encoder.decode(encoder(x)[0])
    wanted = torch.randn_like(rebuilt)
    rebuilt.backward(wanted)
    assert x.grad is not None
    if name == "adaptive_count":  # its decoder does not know the threshold, so only the direction
        assert torch.nn.functional.cosine_similarity(x.grad, wanted, dim=0).min() > 0.8
    else:
        torch.testing.assert_close(x.grad, wanted, rtol=1e-4, atol=1e-4)


def test_gradients_do_not_change_events(kind: tuple[str, dict]) -> None:
    encoder, x = build(kind), wave()
    with torch.no_grad():
        without, _ = encoder(x)
    assert torch.equal(encoder(x.requires_grad_())[0], without)


def test_the_state_dict_makes_another_encoder_the_same(kind: tuple[str, dict]) -> None:
    name, options = kind
    encoder, x = build(kind), wave()
    with torch.no_grad():
        for value in encoder.state_dict().values():
            value *= 1.25
    other = ENCODERS.get(name)(5, dt=DT, **options)
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(x)[0], encoder(x)[0])


def test_two_encoders_and_two_streams_do_not_share_state(kind: tuple[str, dict]) -> None:
    first, second, x = build(kind), build(kind), wave()
    alone, _ = first(x)
    _, state = first(x[:50])
    second(-x)
    first(wave(seed=1))
    rest, _ = first(x[50:], state)
    assert torch.equal(rest, alone[50 * first.steps_per_sample :])
    assert torch.equal(second(x)[0], alone)


def test_decoding_keeps_the_signal_and_measures_are_sane(kind: tuple[str, dict]) -> None:
    found = measure(build(kind), wave(n_times=1000))
    assert found.correlation > 0.4
    assert found.events_per_sample > 0
    assert 0 < found.bits_per_sample < 8
    assert found.snr_db > 0


def test_another_number_of_features_is_refused(kind: tuple[str, dict]) -> None:
    with pytest.raises(SignalError, match="has 5 features and got 6"):
        build(kind)(torch.randn(10, 1, 6))


def test_silence_makes_no_events(kind: tuple[str, dict]) -> None:
    events, _ = build(kind)(torch.zeros(50, 2, 5))
    assert not events.any()
    found = measure(build(kind), torch.zeros(50, 2, 5))
    assert (found.bits_per_sample, found.correlation) == (0, 0)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "learnable"])
def test_turning_the_signal_over_swaps_on_and_off(kind: tuple[str, dict]) -> None:
    """But for filters, which start a little different."""
    encoder, x = build(kind), wave()
    assert torch.equal(signed(encoder(-x)[0]), -signed(encoder(x)[0]))
