"""Is a decoder that reads blinks found out, and one that reads the mu rhythm left in peace?"""

import numpy as np
import pandas as pd
import pytest
from mixed_sources import fitted

from neurodecode.core.seeding import generator
from neurodecode.epochs.epochset import EpochSet
from neurodecode.evaluation.sides import aligned_windows, whitened_by
from neurodecode.evaluation.splits import Fold
from neurodecode.explain.reliance import channel_parts, components, parts, reliance
from neurodecode.explain.swapped import derangement
from neurodecode.explain.windows import Axes, Windows
from neurodecode.preprocess.filter import filter_zero_phase
from neurodecode.recordings.brain import ARTIFACTS
from neurodecode.recordings.synthetic import Synthetic, Truth
from neurodecode.training.estimator import Decoder

CHANNELS = ("Fp1", "Fp2", "F7", "F8", "Fz", "T7", "C3", "Cz", "C4", "T8", "Pz")
N_TIMES = 256


def cut(truth: Truth, data: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    """Two seconds of each trial, filtered, microvolts."""
    raw = truth.raw()
    raw._data[:] = data
    filter_zero_phase(raw, notch=None, band=band)
    signal = raw.get_data() * 1e6
    starts = np.rint((truth.onsets + 0.5) * truth.sfreq).astype(int)
    return np.stack([signal[:, i : i + N_TIMES] for i in starts]).astype(np.float32)


class People:
    """Windows of one simulated person: recorded, the artifacts in them, and two sets of labels."""

    def __init__(self, band: tuple[float, float]) -> None:
        people = Synthetic(
            n_subjects=1,
            n_sessions=1,
            n_trials=120,
            duration=3.0,
            ch_names=CHANNELS,
            contrast=2.0,
            cache=False,
        )
        truth = people.truth(1)["0"]["0"]
        self.artifact = cut(truth, truth.artifact, band)
        self.x = cut(truth, truth.clean + truth.artifact, band)
        self.hands = np.array([people.classes.index(label) for label in truth.labels])
        blink = truth.artifact_courses[[source.name for source in ARTIFACTS].index("blink")]
        starts = np.rint((truth.onsets + 0.5) * truth.sfreq).astype(int)
        size = np.array([np.ptp(blink[i : i + N_TIMES]) for i in starts])
        self.blinks = (size > np.median(size)).astype(np.int64)

    def of(self, y: np.ndarray) -> Windows:
        axes = Axes(classes=("a", "b"), ch_names=CHANNELS, sfreq=128.0, n_times=N_TIMES)
        return Windows(x=self.x[60:], y=y[60:], x_train=self.x[:60], y_train=y[:60], axes=axes)


@pytest.fixture(scope="module")
def person() -> People:
    return People((1.0, 32.0))


@pytest.fixture(scope="module")
def in_mu_and_beta() -> People:
    return People((7.0, 32.0))


def drops(decoder: Decoder, windows: Windows) -> dict[str, float]:
    lines = reliance(decoder, windows, parts(windows.axes, None), n_draws=2)
    return {line["part"]: line["drop"] for line in lines}


def test_who_reads_blinks_rides_on_channels_of_the_eyes_and_slow_frequencies(
    person: People,
) -> None:
    windows = person.of(person.blinks)
    decoder = fitted("ts_lr", windows)
    found = drops(decoder, windows)
    assert found["eye channels"] > 0.25
    assert found["eye channels"] > 2 * max(found["other channels"], found["muscle channels"])
    bands = {name: drop for name, drop in found.items() if "Hz" in name}
    assert max(bands, key=bands.__getitem__) == "below 4 Hz"


def test_who_reads_blinks_rides_on_the_components_of_artifacts(person: People) -> None:
    windows = person.of(person.blinks)
    line = components(fitted("ts_lr", windows), windows, person.artifact[60:])
    assert line["score"] > 0.8
    assert line["drop"] > line["score"] - 0.6
    assert 0.05 < line["share"] < 2


def test_who_reads_hands_rides_on_neither(in_mu_and_beta: People) -> None:
    windows = in_mu_and_beta.of(in_mu_and_beta.hands)
    decoder = fitted("csp_lda", windows)
    found = drops(decoder, windows)
    assert found["other channels"] > 0.2
    assert max(found["eye channels"], found["muscle channels"]) < 0.1
    assert found["8 to 13 Hz"] > 0.15
    assert found["8 to 13 Hz"] > 4 * found["above 30 Hz"]
    assert components(decoder, windows, in_mu_and_beta.artifact[60:])["drop"] < 0.1


def test_nothing_to_take_out_loses_nothing(person: People) -> None:
    windows = person.of(person.hands)
    line = components(fitted("csp_lda", windows), windows, np.zeros_like(windows.x))
    assert line["drop"] == 0
    assert line["share"] == 0


def split(train: np.ndarray, test: np.ndarray) -> Fold:
    return Fold(name="f", train=train, test=test, subject="1", session="*")


def epochs_of(person: People) -> EpochSet:
    n = len(person.x)
    session = np.repeat(["0", "1", "2"], n // 3)
    table = pd.DataFrame(
        {"dataset": "made", "subject": "1", "session": session, "run": "0",
         "onset": np.arange(n) * 3.0, "block": np.arange(n)}
    )  # fmt: skip
    return EpochSet(
        x=person.x, y=person.hands, classes=("a", "b"), table=table, ch_names=CHANNELS, sfreq=128.0
    )


@pytest.mark.parametrize("word", ["euclidean:causal", "euclidean:batch", "riemannian:causal"])
@pytest.mark.parametrize("n_train", [60, 80])
def test_windows_times_their_whiteners_are_the_aligned_windows(
    person: People, word: str, n_train: int
) -> None:
    """With 80, the test session is new; with 60, half of one session is known."""
    epochs = epochs_of(person)
    fold = split(np.arange(n_train), np.arange(n_train, 90))
    matrices = whitened_by(epochs, fold, word)
    assert matrices is not None
    _, x_test = aligned_windows(epochs, fold, word)
    np.testing.assert_allclose(np.matmul(matrices, epochs.x[fold.test]), x_test, atol=2e-4)


def test_windows_that_were_not_aligned_have_no_whiteners(person: People) -> None:
    fold = split(np.arange(60), np.arange(60, 120))
    assert whitened_by(epochs_of(person), fold, "none") is None


class Witness:
    """A decoder that remembers what it was asked about."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def predict(self, x: np.ndarray) -> np.ndarray:
        self.seen.append(x)
        return np.zeros(len(x), dtype=int)


def test_artifacts_are_carried_through_the_alignment(person: People) -> None:
    """A window with another's artifacts is aligned as it was itself."""
    epochs, fold = epochs_of(person), split(np.arange(60), np.arange(60, 120))
    _, x_test = aligned_windows(epochs, fold, "euclidean:causal")
    own = person.of(person.hands)
    windows = Windows(x=x_test, y=own.y, x_train=x_test, y_train=own.y, axes=own.axes)
    matrices, witness = whitened_by(epochs, fold, "euclidean:causal"), Witness()
    artifact = person.artifact[60:]
    components(witness, windows, artifact, matrices, n_draws=1)
    order = derangement(60, generator(0, "reliance"))
    expected = np.matmul(matrices, own.x - artifact + artifact[order])
    np.testing.assert_allclose(witness.seen[-1], expected, atol=1e-3)


def test_channels_are_told_by_name() -> None:
    names = ("Fp1", "AFz", "AF3", "F7", "FT9", "T7", "TP10", "P7", "Cz", "HEOG", "Oz", "T5")
    found = channel_parts(names, None)
    eye, muscle, other = "eye channels", "muscle channels", "other channels"
    assert found == [
        eye, eye, other, eye, muscle, muscle, muscle, other, other, eye, other, muscle,
    ]  # fmt: skip


def test_without_names_the_outermost_are_muscles_and_in_front_eyes() -> None:
    angles = np.deg2rad([0, 40, 100, 100, 100])
    towards = np.deg2rad([0, 0, 90, 0, 180])  # ahead, right, left
    places = 0.09 * np.stack(
        [np.sin(angles) * np.cos(towards), np.sin(angles) * np.sin(towards), np.cos(angles)], 1
    )
    found = channel_parts([f"E{i}" for i in range(5)], places)
    assert found == ["other channels"] * 2 + ["eye channels"] + ["muscle channels"] * 2


def test_parts_without_a_channel_or_above_half_the_rate_are_left_out() -> None:
    axes = Axes(classes=("a", "b"), ch_names=("C3", "Cz"), sfreq=50.0, n_times=100)
    found = parts(axes, None)
    assert list(found) == [
        "other channels", "below 4 Hz", "4 to 8 Hz", "8 to 13 Hz", "13 to 30 Hz",
    ]  # fmt: skip
    assert found["other channels"].names == ("C3", "Cz")


def test_bands_that_the_pipeline_filtered_out_are_passed_over(person: People) -> None:
    windows = person.of(person.hands)
    spectrum = np.fft.rfft(windows.x, axis=2)
    freqs = np.fft.rfftfreq(N_TIMES, 1 / 128)
    spectrum[..., (freqs < 6) | (freqs > 28)] = 0
    x = np.fft.irfft(spectrum, n=N_TIMES).astype(np.float32)
    narrow = Windows(x=x, y=windows.y, x_train=x, y_train=windows.y, axes=windows.axes)
    found = drops(fitted("csp_lda", narrow), narrow)
    assert "below 4 Hz" not in found
    assert "above 30 Hz" not in found
    assert "8 to 13 Hz" in found


def test_the_same_question_has_the_same_answer(person: People) -> None:
    windows = person.of(person.hands)
    decoder = fitted("csp_lda", windows)
    assert drops(decoder, windows) == drops(decoder, windows)
