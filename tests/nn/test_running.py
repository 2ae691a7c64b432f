"""Running moments are those of everything at once."""

import torch

from neurodecode.nn.running import RunningMoments


def test_batches_give_the_moments_of_the_whole() -> None:
    draw = torch.Generator().manual_seed(0)
    rows = 5 + 3 * torch.randn(100, 4, generator=draw)
    rows[::3, 1] = torch.nan
    rows[:, 2] = torch.nan
    moments = RunningMoments(4)
    for batch in torch.split(rows, [1, 40, 9, 50]):
        moments.update(batch)
    z = moments.normalize(rows)
    for column in (0, 1, 3):
        seen = z[:, column][z[:, column].isfinite()]
        torch.testing.assert_close(seen.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(seen.std(correction=0), torch.tensor(1.0), atol=1e-5, rtol=0)
    assert z[:, 2].isnan().all()
    assert moments.count.tolist() == [100, 66, 0, 100]


def test_before_anything_was_seen_numbers_stay_as_they_are() -> None:
    rows = torch.tensor([[2.0, -3.0]])
    torch.testing.assert_close(RunningMoments(2).normalize(rows), rows)


def test_a_constant_is_no_division_by_zero() -> None:
    moments = RunningMoments(1)
    moments.update(torch.full((5, 1), 7.0))
    assert moments.normalize(torch.full((2, 1), 7.0)).tolist() == [[0.0], [0.0]]


def test_it_is_kept_with_the_weights() -> None:
    moments, other = RunningMoments(2), RunningMoments(2)
    moments.update(torch.randn(8, 2))
    other.load_state_dict(moments.state_dict())
    rows = torch.randn(3, 2)
    torch.testing.assert_close(other.normalize(rows), moments.normalize(rows))
