"""Which token is next: against the formula written out, and what may and may not be drawn."""

import torch
from torch import Tensor
from torch.nn import functional

from neurodecode.nn.contrast import draw_others, rank


def tokens(n: int, width: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_others_are_all_but_ones_own_and_alike() -> None:
    own = torch.tensor([0, 3, 4])
    drawn = draw_others(own, 5, 8000, torch.Generator().manual_seed(0))
    for row, i in zip(drawn, own.tolist(), strict=True):
        counts = row.bincount(minlength=5)
        assert counts[i] == 0
        assert (counts[torch.arange(5) != i] - 2000).abs().max() < 200


def test_loss_and_gradients_are_those_of_the_formula() -> None:
    """Also: the right token gets a gradient, a wrong one none."""
    right = torch.tensor([1, 2, 5, 0])
    wrong = draw_others(right, 7, 5, torch.Generator().manual_seed(1))
    results = []
    for ours in (True, False):
        predicted, all_tokens = tokens(4).requires_grad_(), tokens(7, seed=1).requires_grad_()
        if ours:
            loss = rank(predicted, all_tokens, right, wrong, temperature=0.2).loss
        else:
            offered = torch.cat([all_tokens[right][:, None], all_tokens.detach()[wrong]], dim=1)
            logits = functional.cosine_similarity(predicted[:, None], offered, dim=-1) / 0.2
            loss = functional.cross_entropy(logits, torch.zeros(4, dtype=torch.long))
        loss.backward()
        results.append((loss.detach(), predicted.grad, all_tokens.grad))
    for ours_, expected in zip(*results, strict=True):
        assert ours_ is not None
        assert expected is not None
        torch.testing.assert_close(ours_, expected)
    assert all_tokens.grad is not None
    assert not all_tokens.grad[[3, 4, 6]].any()


def test_a_wrong_token_like_the_right_one_does_not_count() -> None:
    offered = tokens(3)
    offered[2] = offered[1]
    right, wrong = torch.tensor([1]), torch.tensor([[2, 0, 2]])
    fair = rank(offered[1:2], offered, right, wrong)
    alone = rank(offered[1:2], offered, right, wrong[:, 1:2])
    torch.testing.assert_close(fair.loss, alone.loss)
    assert fair.accuracy == 1


def test_accuracy_counts_first_places() -> None:
    offered = torch.eye(4)
    right = torch.tensor([0, 1])
    wrong = torch.tensor([[1, 2], [0, 2]])
    ranking = rank(torch.eye(4)[[0, 2]], offered, right, wrong)
    assert ranking.accuracy == 0.5
    assert ranking.right == 0.5
    assert ranking.wrong == 0.25
    assert rank(torch.zeros(2, 4), offered, right, wrong).accuracy == 0  # a tie is a mistake


def test_a_copy_does_not_lose_to_its_own_source() -> None:
    offered = tokens(4)
    right, wrong = torch.tensor([1]), torch.tensor([[0, 2]])
    copy = rank(offered[:1], offered, right, wrong, skip_predicted=True)
    without = rank(offered[:1], offered, right, wrong[:, 1:])
    torch.testing.assert_close(copy.loss, without.loss)


def test_silent_tokens_have_finite_gradients() -> None:
    offered = torch.zeros(3, 6, requires_grad=True)
    predicted = tokens(1).requires_grad_()
    rank(predicted, offered, torch.tensor([0]), torch.tensor([[1, 2]])).loss.backward()
    assert offered.grad is not None
    assert offered.grad.isfinite().all()
    assert offered.grad.abs().max() < 1e6
