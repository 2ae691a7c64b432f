from dataclasses import replace

import numpy as np
import pytest

from neurodecode.artifacts.bank import Bank, Recipe, Source, batches, draw, split_people
from neurodecode.artifacts.mixing import Convention
from neurodecode.core.errors import SignalError

RECIPE = Recipe(convention="power", shares={"eog": 1.0}, n_times=256, n_chans=(4, 8))


def rms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.square(x, dtype=float), axis=(1, 2)))


@pytest.mark.parametrize("kind", ["eog", "emg"])
@pytest.mark.parametrize(("convention", "decibels"), [("power", 20), ("eegdenoisenet", 10)])
def test_windows_have_the_ratio_asked_for(
    noise_bank: Bank, kind: str, convention: Convention, decibels: float
) -> None:
    recipe = replace(RECIPE, convention=convention, shares={kind: 1.0}, snr=(-4.0, -4.0))
    mixture = draw(noise_bank, recipe, 20, np.random.default_rng(1))
    ratio = rms(mixture.clean) / rms(mixture.noisy - mixture.clean)
    assert decibels * np.log10(ratio) == pytest.approx(-4.0, abs=1e-3)


def test_windows_without_an_artifact_are_clean(noise_bank: Bank) -> None:
    mixture = draw(noise_bank, replace(RECIPE, shares={"none": 1.0}), 5, np.random.default_rng(0))
    assert np.array_equal(mixture.noisy, mixture.clean)
    assert np.median(rms(mixture.clean)) == pytest.approx(1, rel=0.3)  # in usual amplitudes


def test_nobody_is_in_two_parts_with_any_kind_of_source(noise_bank: Bank) -> None:
    parts = split_people(noise_bank, n_parts=3, seed=4)
    for name in ("brains", "eyes", "muscles"):
        people = [{s.subject for s in getattr(part, name)} for part in parts]
        assert all(people)
        assert sum(map(len, people)) == len(set.union(*people)) == 6
    everything = [set(part.subjects) for part in parts]
    assert sum(map(len, everything)) == len(set.union(*everything))


def test_a_split_is_that_of_its_seed(noise_bank: Bank) -> None:
    one, same, other = (split_people(noise_bank, n_parts=3, seed=s) for s in (1, 1, 2))
    assert [p.subjects for p in one] == [p.subjects for p in same] != [p.subjects for p in other]


def test_those_who_have_what_is_rare_are_dealt_to_every_part(noise_bank: Bank) -> None:
    rare = replace(noise_bank, muscles=noise_bank.muscles[:3])
    for seed in range(5):
        assert all(part.muscles for part in split_people(rare, n_parts=3, seed=seed))
    with pytest.raises(SignalError, match="2 people cannot be split into 3 parts"):
        split_people(replace(noise_bank, eyes=noise_bank.eyes[:2]), n_parts=3)


def test_no_window_reaches_across_pieces() -> None:
    pieces = np.repeat(np.arange(5.0, dtype=np.float32), 100)[None]
    source = Source(subject="a", courses=pieces, segment=100)
    rng = np.random.default_rng(0)
    for _ in range(50):
        window = source.cut(np.array([0]), source.start(80, rng), 80)
        assert np.ptp(window) == 0
    with pytest.raises(SignalError, match="pieces of 100 samples"):
        source.start(101, rng)


def test_pairs_of_an_instant_keep_time_and_strength() -> None:
    brain = np.random.default_rng(0).standard_normal((6, 2000)).astype(np.float32)
    source = Source(subject="a", courses=brain, recording="a/1")
    bank = Bank(
        brains=[source, replace(source, courses=-brain, recording="a/2")],
        eyes=[replace(source, courses=3 * brain)],
        muscles=[],
        sfreq=256.0,
    )
    recipe = replace(RECIPE, pairing="instant")
    mixture = draw(bank, recipe, 10, np.random.default_rng(1))
    assert mixture.noisy == pytest.approx(4 * mixture.clean, abs=1e-4)
    with pytest.raises(SignalError, match="No recording has 'both'"):
        draw(bank, replace(recipe, shares={"both": 1.0}), 1, np.random.default_rng(1))


def test_batches_of_one_seed_are_the_same(noise_bank: Bank) -> None:
    a, b = (
        next(batches(noise_bank, RECIPE, n_signals=32, rng=np.random.default_rng(3)))
        for _ in range(2)
    )
    assert np.array_equal(a.noisy, b.noisy)
    assert a.directions is not None
    assert a.directions.shape == (a.noisy.shape[1], 3)


def test_the_fingerprint_follows_every_sample(noise_bank: Bank) -> None:
    courses = noise_bank.eyes[2].courses.copy()
    courses[0, 7] += 1e-3
    eyes = [*noise_bank.eyes[:2], replace(noise_bank.eyes[2], courses=courses)]
    assert noise_bank.digest() == replace(noise_bank).digest()
    changed = replace(noise_bank, eyes=[*eyes, *noise_bank.eyes[3:]])
    assert changed.digest() != noise_bank.digest()
