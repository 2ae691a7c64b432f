"""The last layer learns from a few windows what there is to learn, and nothing else."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit, softmax

from neurodecode.core.errors import ConfigError
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder
from neurodecode.training.head import (
    GRID,
    LinearHead,
    choose_lam,
    features_of,
    folds_of,
    move_head,
    read_head,
    with_head,
)

NAMES, SFREQ = ("C3", "Cz", "C4", "Pz"), 64.0


def windows(n: int, n_classes: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Each class makes one channel louder."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    x = rng.standard_normal((n, len(NAMES), 128))
    x[np.arange(n), y] *= 2
    return (10 * x).astype(np.float32), y


def fitted(name: str, n_classes: int = 2, *, epochs: int = 2, **options: Any) -> Decoder:
    train = {} if name in CLASSICAL else {"epochs": epochs, "device": "cpu"}
    decoder = Decoder(name, sfreq=SFREQ, ch_names=NAMES, options=options, train=train)
    return decoder.fit(*windows(20 * n_classes, n_classes))


CLASSICAL = ("csp_lda", "ts_lr", "bandpower_lr", "fbcsp", "mdm", "acm_ts_svm")
LOW: dict[str, Any] = {"neuron_options": {"threshold": 0.05}}  # so that hardly trained nets spike
HEADS = [
    ("csp_lda", 2, {}),
    ("csp_lda", 3, {}),
    ("ts_lr", 2, {}),
    ("ts_lr", 4, {}),
    ("bandpower_lr", 3, {}),
    ("dbconformer", 2, {}),
    ("eegnet", 3, {}),  # its last layer is a convolution over all that there is
    ("braindecode:EEGNeX", 2, {}),  # its weights are held to a norm
    ("spiking_eegnet", 2, {"time": "window", "n_steps": 3, **LOW}),
    ("spiking_lmu", 3, {"time": "stream", **LOW}),
    ("spiking_dbconformer", 2, LOW),
]


@pytest.mark.parametrize(("name", "n_classes", "options"), HEADS)
def test_features_make_the_probabilities_and_a_moved_head_others(
    name: str, n_classes: int, options: dict[str, Any], tmp_path: Path
) -> None:
    decoder = fitted(name, n_classes, **options)
    x, y = windows(6 * n_classes, n_classes, seed=1)
    head, features = read_head(decoder), features_of(decoder, x)
    before = decoder.predict_proba(x)
    np.testing.assert_allclose(head.proba(features), before, atol=1e-4)

    moved = move_head(head, features, (y + 1) % n_classes, 0.01)
    tuned = with_head(decoder, moved)
    np.testing.assert_allclose(tuned.predict_proba(x), moved.proba(features), atol=1e-4)
    np.testing.assert_array_equal(decoder.predict_proba(x), before)  # the old one is as it was
    assert np.abs(tuned.predict_proba(x) - before).max() > 0.02

    checkpoint.save(tuned, tmp_path / "d.safetensors")
    again = checkpoint.load(tmp_path / "d.safetensors")
    np.testing.assert_array_equal(again.predict_proba(x), tuned.predict_proba(x))


@pytest.mark.parametrize("name", ["mdm", "acm_ts_svm"])
def test_a_decoder_without_a_linear_head_is_refused_in_one_line(name: str) -> None:
    decoder = fitted(name)
    with pytest.raises(ConfigError, match=f"The head of {name} cannot be fine-tuned") as error:
        read_head(decoder)
    assert "\n" not in str(error.value)


def test_a_layer_that_does_not_make_the_logits_is_no_head(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = fitted("dbconformer")
    forward = type(decoder.model_).forward
    monkeypatch.setattr(type(decoder.model_), "forward", lambda net, x: 2 * forward(net, x))
    with pytest.raises(ConfigError, match="do not come from a linear layer"):
        read_head(decoder)


def labels_of(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    chance = softmax(logits, axis=1).cumsum(axis=1)
    return (rng.random((len(logits), 1)) > chance).sum(axis=1)


def test_a_shifted_bias_is_recovered() -> None:
    rng = np.random.default_rng(0)
    head = LinearHead(weight=rng.standard_normal((3, 5)), bias=np.zeros(3))
    features = rng.standard_normal((20_000, 5))
    shift = np.array([0.0, 1.5, -1.0])
    y = labels_of(head.logits(features) + shift, rng)
    moved = move_head(head, features, y, 1e-6)
    assert moved.bias is not None
    np.testing.assert_allclose(moved.bias - moved.bias[0], shift, atol=0.1)
    np.testing.assert_allclose(
        moved.weight - moved.weight.mean(axis=0), head.weight - head.weight.mean(axis=0), atol=0.1
    )


def test_a_prior_that_is_strong_enough_leaves_everything_as_it_was() -> None:
    rng = np.random.default_rng(0)
    head = LinearHead(weight=rng.standard_normal((2, 4)), bias=rng.standard_normal(2))
    features, y = rng.standard_normal((12, 4)), np.arange(12) % 2
    moved = move_head(head, features, y, 1e9)
    np.testing.assert_allclose(moved.weight, head.weight, atol=1e-6)
    np.testing.assert_allclose(moved.bias, head.bias, atol=1e-6)  # type: ignore[arg-type]
    assert move_head(head, features, y, math.inf) is head
    assert max(GRID) == math.inf


def test_with_two_classes_and_two_values_the_log_odds_are_those_of_the_counts() -> None:
    head = LinearHead(weight=np.zeros((1, 1)), bias=np.zeros(1))
    x = np.repeat([-1.0, 1.0], [10, 20])[:, None]
    y = np.r_[np.repeat([0, 1], [7, 3]), np.repeat([0, 1], [5, 15])]
    moved = move_head(head, x, y, 1e-10)
    np.testing.assert_allclose(moved.proba(np.array([[-1.0], [1.0]]))[:, 1], [0.3, 0.75], atol=1e-4)


@pytest.mark.parametrize("n_rows", [1, 2])
@pytest.mark.parametrize("lam", [0.01, 0.1, 1.0])
def test_a_bias_alone_is_where_its_derivative_is_zero(n_rows: int, lam: float) -> None:
    head = LinearHead(weight=np.zeros((n_rows, 1)), bias=np.linspace(0, 0.5, n_rows + 1)[1:])
    y = np.array([0] * 4 + [1] * 16)
    moved = move_head(head, np.zeros((20, 1)), y, lam)
    assert moved.bias is not None
    start = head.logits(np.zeros((1, 1)))[0] @ [-1, 1]
    # Two rows share the way, so that the squared distance is half of what one row goes.
    wanted = brentq(lambda c: expit(c) - 0.8 + 2 * lam / n_rows * (c - start), -9, 9)
    found = moved.logits(np.zeros((1, 1)))[0] @ [-1, 1]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert start < found < logit(0.8)


def test_unit_and_zero_of_a_feature_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    features, y = rng.standard_normal((30, 3)), rng.integers(0, 2, 30)
    unit, zero = np.array([1.0, 1e3, 1e-6]), np.array([5.0, -7.0, 0.1])
    weight = rng.standard_normal((2, 3))
    head = LinearHead(weight=weight, bias=np.zeros(2))
    other = LinearHead(weight=weight / unit, bias=-weight @ zero)
    a = move_head(head, features, y, 0.03).logits(features)
    shown = (features + zero) * unit
    np.testing.assert_allclose(other.logits(shown), head.logits(features), atol=1e-9)
    np.testing.assert_allclose(move_head(other, shown, y, 0.03).logits(shown), a, atol=1e-5)
    assert np.abs(a - head.logits(features)).max() > 0.1


def test_a_layer_without_bias_gets_none() -> None:
    rng = np.random.default_rng(0)
    features, y = 2 + rng.standard_normal((30, 3)), rng.integers(0, 2, 30)
    head = LinearHead(weight=np.zeros((2, 3)), bias=None)
    moved = move_head(head, features, y, 0.01)
    assert moved.bias is None
    assert np.abs(moved.weight).max() > 0.1


@pytest.mark.parametrize("name", ["csp_lda", "shallow"])
def test_a_person_whose_classes_are_the_other_way_round_gains(name: str) -> None:
    decoder = fitted(name, epochs=40)
    x, y = windows(60, seed=2)
    flipped = 1 - y
    before = float(np.mean(decoder.predict(x[40:]) == flipped[40:]))
    features = features_of(decoder, x[:40])
    head = read_head(decoder)
    lam = choose_lam(head, features, flipped[:40])
    tuned = with_head(decoder, move_head(head, features, flipped[:40], lam))
    after = float(np.mean(tuned.predict(x[40:]) == flipped[40:]))
    assert lam < math.inf
    assert before < 0.4
    assert after > 0.8


def test_labels_that_mean_nothing_change_about_nothing() -> None:
    head = LinearHead(weight=np.zeros((1, 4)), bias=np.zeros(1))
    chosen = []
    for rng in map(np.random.default_rng, range(20)):
        y = rng.permutation(np.arange(40) % 2)
        chosen.append(choose_lam(head, rng.standard_normal((40, 4)), y))
    assert sum(lam == math.inf for lam in chosen) >= 15
    assert sum(lam >= 1 for lam in chosen) >= 18


def test_a_head_that_is_right_already_is_left_alone() -> None:
    kept = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        head = LinearHead(weight=rng.standard_normal((1, 4)), bias=np.zeros(1))
        features = rng.standard_normal((40, 4))
        kept += choose_lam(head, features, labels_of(head.logits(features), rng)) == math.inf
    assert kept >= 15


def test_a_single_window_of_a_class_leaves_nothing_to_choose_by() -> None:
    head = LinearHead(weight=np.zeros((1, 2)), bias=np.zeros(1))
    features = np.random.default_rng(0).standard_normal((5, 2))
    assert choose_lam(head, features, np.array([0, 0, 0, 0, 1])) == math.inf


def test_folds_hold_every_window_out_once_and_are_stretches_of_time() -> None:
    y = np.arange(30) % 2
    tests = [test for _, test in folds_of(y)]
    assert len(tests) == 5
    assert sorted(np.concatenate(tests)) == list(range(30))
    for test in tests:
        assert np.ptp(test) == len(test) - 1
        assert set(y[test]) == {0, 1}
    assert len(list(folds_of(np.array([0, 1, 0, 1, 0])))) == 2
