"""What is a net like before it has learned anything?"""

import copy

import numpy as np
import pytest
import torch

from neurodecode.explain.random_weights import (
    cascade,
    is_net,
    settled,
    stages,
    with_random_weights,
)
from neurodecode.explain.windows import Windows
from neurodecode.training.estimator import Decoder


def weights(decoder: Decoder) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in decoder.model_.state_dict().items()}


def test_its_own_start_is_where_its_training_began(fitted: Decoder, known: Windows) -> None:
    start = with_random_weights(fitted, None, known.x_train)
    fresh = dict(fitted.build(fitted.spec_).named_parameters())
    for name, value in start.model_.named_parameters():
        torch.testing.assert_close(value, fresh[name])


def test_draws_differ_and_repeat(fitted: Decoder, known: Windows) -> None:
    one, same, other = (with_random_weights(fitted, i, known.x_train) for i in (0, 0, 1))
    key = "head.0.weight"
    torch.testing.assert_close(weights(one)[key], weights(same)[key])
    assert not torch.allclose(weights(one)[key], weights(other)[key])


def test_the_fitted_net_stays_as_it_is(fitted: Decoder, known: Windows) -> None:
    before, seed = weights(fitted), fitted.seed
    with_random_weights(fitted, 0, known.x_train)
    list(cascade(fitted, known.x_train))
    assert fitted.seed == seed
    assert not fitted.model_.training
    for name, value in weights(fitted).items():
        torch.testing.assert_close(value, before[name])


def test_a_random_net_is_settled_on_the_training_windows(fitted: Decoder, known: Windows) -> None:
    """A batch norm gives zero mean and unit variance on the windows that settled it."""
    net = with_random_weights(fitted, 0, known.x_train).model_
    x = torch.as_tensor(fitted.normalized(known.x_train))
    with torch.no_grad():
        mixed = net.mix(x.mT)
        normed = net.mix_norm(mixed.flatten(0, 1))
    assert float(normed.mean()) == pytest.approx(0, abs=1e-3)
    assert float(normed.var()) == pytest.approx(1, abs=0.05)


def test_a_settled_net_that_learned_nothing_is_its_own_start(
    fitted: Decoder, known: Windows
) -> None:
    """Its batch norms have seen one step and know little of the windows."""
    start = with_random_weights(fitted, None, known.x_train)
    hasty = copy.copy(fitted)
    hasty.model_ = fitted.build(fitted.spec_).eval()
    own, same = settled(hasty, known.x_train), start.predict_proba(known.x)
    np.testing.assert_allclose(own.predict_proba(known.x), same, atol=1e-6)
    assert not np.allclose(hasty.predict_proba(known.x), same, atol=1e-3)


def test_layers_become_random_from_the_output_on_until_all_are(
    fitted: Decoder, known: Windows
) -> None:
    before = dict(fitted.model_.named_parameters())
    changed = []
    for name, decoder in cascade(fitted, known.x_train):
        now = dict(decoder.model_.named_parameters())
        changed.append({k for k, v in now.items() if not torch.equal(v, before[k])})
        last = name
    assert all(a < b for a, b in zip(changed, changed[1:], strict=False))
    assert all(name.startswith("head") for name in changed[0])
    untrained = {k for k, v in before.items() if v.ndim == 1 and not v.any()}  # biases at zero
    assert set(before) - changed[-1] <= untrained
    assert "position" in last


def test_every_learned_entry_is_in_one_stage(fitted: Decoder) -> None:
    keys = [key for _, several in stages(fitted.model_) for key in several]
    assert sorted(keys) == sorted(dict(fitted.model_.named_parameters()))


def test_nothing_else_notices_that_nets_were_drawn(fitted: Decoder, known: Windows) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    with_random_weights(fitted, 0, known.x_train)
    torch.testing.assert_close(torch.rand(3), expected)


def test_classical_decoders_have_no_weights_to_draw(classical: Decoder, fitted: Decoder) -> None:
    assert is_net(fitted)
    assert not is_net(classical)


def test_random_nets_guess(fitted: Decoder, known: Windows) -> None:
    score = np.mean(fitted.predict(known.x) == known.y)
    drawn = [
        np.mean(
            with_random_weights(copy.copy(fitted), i, known.x_train).predict(known.x) == known.y
        )
        for i in range(4)
    ]
    assert score > 0.9
    assert np.mean(drawn) < 0.75
