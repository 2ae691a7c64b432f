"""A class that a decoder always prefers loses its advantage; a person's choice does not."""

import numpy as np

from neurodecode.online.adapt import BiasState, bias_step


def run(probas: np.ndarray, dt: float = 0.1, **how) -> np.ndarray:
    state, said = BiasState(None), []
    for p in probas:
        out, state = bias_step(p, dt, state, **how)
        said.append(out)
    return np.array(said)


def test_a_constant_preference_fades_with_the_time_constant() -> None:
    p = np.tile([0.8, 0.2], (6000, 1))
    said = run(p, tau=60.0)
    logit = np.log(said[:, 0] / said[:, 1])
    # What is left of log(4) after t seconds is exp(-t / tau).
    np.testing.assert_allclose(logit[599], np.log(4) * np.exp(-60 / 60), rtol=1e-3)
    np.testing.assert_allclose(said[-1], [0.5, 0.5], atol=1e-3)


def test_classes_that_are_meant_equally_often_stay_apart() -> None:
    p = np.where((np.arange(6000) // 50 % 2)[:, None], [0.9, 0.1], [0.6, 0.4])  # prefers the first
    said = run(p, tau=60.0)[3000:]
    meant = (np.arange(6000) // 50 % 2)[3000:]
    assert ((said[:, 0] > 0.5) == meant).mean() > 0.95
    assert ((p[3000:, 0] > 0.5) == meant).mean() < 0.6


def test_frozen_it_learns_nothing() -> None:
    p = np.tile([0.8, 0.2], (100, 1))
    np.testing.assert_allclose(run(p, frozen=True), p)


def test_certainty_is_no_infinity() -> None:
    said = run(np.tile([1.0, 0.0, 0.0], (10, 1)))
    assert np.isfinite(said).all()
    np.testing.assert_allclose(said.sum(axis=1), 1)
