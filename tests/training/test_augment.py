import pytest
import torch
from torch import Generator, Tensor

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.training.augment import AUGMENTATIONS, choose_augmentations


def batch() -> tuple[Tensor, Tensor]:
    draw = Generator().manual_seed(1)
    return torch.randn(64, 3, 100, generator=draw), torch.eye(2).repeat(32, 1)


def run(name: str, **options: object) -> tuple[Tensor, Tensor]:
    (augment,) = choose_augmentations({name: options})
    return augment(*batch(), Generator().manual_seed(0))


@pytest.mark.parametrize("name", AUGMENTATIONS.names())
def test_shapes_stay_arguments_stay_and_a_seed_repeats(name: str) -> None:
    x, y = batch()
    (augment,) = choose_augmentations([name])
    out, labels = augment(x, y, Generator().manual_seed(0))
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert not torch.equal(out, x)
    torch.testing.assert_close(labels.sum(dim=1), torch.ones(64))
    assert torch.equal(x, batch()[0])
    again, _ = augment(x, y, Generator().manual_seed(0))
    assert torch.equal(out, again)


def test_shift_moves_all_channels_alike_and_lets_zeros_in() -> None:
    x, _ = batch()
    out, _ = run("time_shift", largest=0.2)
    for before, after in zip(x, out, strict=True):
        hits = [s for s in range(-20, 21) if _equals_shifted(before, after, s)]
        assert len(hits) == 1


def _equals_shifted(x: Tensor, out: Tensor, s: int) -> bool:
    expected = torch.zeros_like(x)
    if s >= 0:
        expected[:, s:] = x[:, : x.shape[1] - s]
    else:
        expected[:, :s] = x[:, -s:]
    return torch.equal(out, expected)


def test_dropped_channels_are_zero_and_the_others_untouched() -> None:
    x, _ = batch()
    out, _ = run("channel_dropout", p=0.3)
    dropped = (out == 0).all(dim=2)
    assert 0.2 < dropped.float().mean() < 0.4
    assert torch.equal(out[~dropped], x[~dropped])


def test_noise_has_the_deviation_asked_for() -> None:
    out, _ = run("gaussian_noise", sd=0.5)
    assert (out - batch()[0]).std().item() == pytest.approx(0.5, rel=0.02)


def test_flip_keeps_covariances() -> None:
    x, _ = batch()
    out, _ = run("sign_flip")
    torch.testing.assert_close(out @ out.mT, x @ x.mT)
    assert 0.3 < (out == -x).all(dim=(1, 2)).float().mean() < 0.7


def test_surrogate_keeps_spectra_and_covariances() -> None:
    x = torch.randn(16, 3, 101, generator=Generator().manual_seed(1))
    (augment,) = choose_augmentations({"ft_surrogate": {"p": 1.0}})
    out, _ = augment(x, torch.eye(2).repeat(8, 1), Generator().manual_seed(0))
    torch.testing.assert_close(torch.fft.rfft(out).abs(), torch.fft.rfft(x).abs())
    torch.testing.assert_close(out @ out.mT, x @ x.mT, atol=1e-3, rtol=1e-4)
    assert (out - x).abs().mean() > 0.1


def test_mixup_mixes_labels_as_it_mixes_windows() -> None:
    (augment,) = choose_augmentations({"mixup": {"alpha": 1.0}})
    y = torch.eye(64)
    x = y[:, None, :].clone()  # window i is the i-th unit vector, and so is its label
    out, labels = augment(x, y, Generator().manual_seed(0))
    torch.testing.assert_close(out[:, 0], labels)


def test_unknown_names_and_options_list_the_nearest() -> None:
    with pytest.raises(UnknownName, match="'timeshift'. Did you mean 'time_shift'"):
        choose_augmentations(["timeshift"])
    with pytest.raises(UnknownName, match=r"\[train.augment.time_shift\] is called 'larges'"):
        choose_augmentations({"time_shift": {"larges": 0.1}})
    with pytest.raises(ConfigError, match="write augment.time_shift.OPTION = value"):
        choose_augmentations({"time_shift": 0.1})
