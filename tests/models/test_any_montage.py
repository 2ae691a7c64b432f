"""Classical decoders that can do with absent channels."""

from pathlib import Path

import numpy as np
import pytest

from neurodecode.core.errors import FitError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.models.bandpower_lr import AnyMontage, ChannelPool
from neurodecode.models.line_length_lr import LineLength
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

NAMES = ["bandpower_lr", "line_length_lr"]
MONTAGE = ("1", "2", "3", "4", "5", "6")  # what recordings of several montages are joined to


def windows(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Half of the windows have four of six channels; two classes differ in the power of one."""
    rng, y = np.random.default_rng(seed), np.arange(n) % 2
    x = rng.standard_normal((n, 6, 256)).astype(np.float32)
    x[y == 1, rng.integers(0, 4)] *= 5
    x[: n // 2, 4:] = np.nan
    return x, y


@pytest.mark.parametrize("name", NAMES)
def test_any_montage_is_decoded(name: str) -> None:
    x, y = windows()
    decoder = Decoder(name, sfreq=128.0, ch_names=MONTAGE).fit(x, y)
    test, truth = windows(seed=1)
    assert (decoder.predict(test) == truth).mean() > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_channels_and_absent_ones_do_not_matter(name: str) -> None:
    x, y = windows()
    decoder = Decoder(name, sfreq=128.0, ch_names=MONTAGE).fit(x, y)
    full, fewer = x[-4:], x[:4]
    expected = decoder.predict_proba(full)
    np.testing.assert_allclose(decoder.predict_proba(full[:, ::-1]), expected, atol=1e-6)
    moved = fewer[:, [4, 0, 1, 5, 2, 3]]
    np.testing.assert_allclose(
        decoder.predict_proba(moved), decoder.predict_proba(fewer), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_pooled_decoder_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    x, y = windows()
    decoder = Decoder(name, sfreq=128.0, ch_names=MONTAGE).fit(x, y)
    path = tmp_path / "a.safetensors"
    checkpoint.save(decoder, path)
    copy = checkpoint.load(path)
    np.testing.assert_array_equal(copy.predict_proba(x), decoder.predict_proba(x))


def test_one_montage_keeps_its_channels_unless_told_otherwise() -> None:
    x, _ = windows()
    features = np.random.default_rng(0).standard_normal((5, 3, 2))
    assert ChannelPool("auto").fit_transform(features).shape == (5, 6)
    assert ChannelPool("always").fit_transform(features).shape == (5, 12)
    features[0, 2] = np.nan
    assert ChannelPool("auto").fit_transform(features).shape == (5, 12)


def test_pooled_features_are_those_of_the_channels_that_are_there() -> None:
    features = np.array([[[1.0], [3.0], [np.nan]], [[1.0], [3.0], [5.0]]])
    pooled = ChannelPool("always").fit_transform(features)
    np.testing.assert_allclose(pooled[0], [2.0, 3.0, 1.0, 1.5, 2.0, 2.5])
    np.testing.assert_allclose(pooled[1], [3.0, 5.0, float(np.std([1, 3, 5])), 2.0, 3.0, 4.0])


@pytest.mark.parametrize("name", NAMES)
def test_recordings_of_several_montages_are_pooled_even_where_none_lacks_a_channel(
    name: str,
) -> None:
    """Channels of the same number are then other places."""
    x, y = windows()
    whole = np.where(np.isnan(x), 0.1 * np.random.default_rng(0).standard_normal(x.shape), x)
    for ch_names, pooled in ((MONTAGE, True), (tuple("ABCDEF"), False)):
        spec = TaskSpec(ch_names=ch_names, n_times=256, sfreq=128.0, n_outputs=2)
        model = MODELS.get(name)(spec).fit(whole, y)
        assert isinstance(model, AnyMontage)
        assert model.named_steps["pool"].pooled_ == pooled


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_pooled_refuses_absent_channels(name: str) -> None:
    x, y = windows()
    with pytest.raises(FitError, match="takes the same channels in every window"):
        Decoder(name, sfreq=128.0, ch_names=MONTAGE, options={"pool": "never"}).fit(x, y)
    whole = Decoder(name, sfreq=128.0, ch_names=tuple("ABCDEF")).fit(x[30:], y[30:])
    with pytest.raises(SignalError, match="Set its option pool"):
        whole.predict_proba(x[:30])


def test_the_line_length_of_a_sine_is_known() -> None:
    """A sine of amplitude a and f Hz runs 4 a f microvolts in a second."""
    t = np.arange(4000) / 1000
    x = (5 * np.sin(2 * np.pi * 3 * t))[None, None]
    assert np.exp(LineLength(1).transform(x)).item() * 1000 == pytest.approx(4 * 5 * 3, rel=1e-3)
    assert LineLength(4).transform(x).shape == (1, 1, 4)
