"""Is what is explained the distance of a class from the others?"""

import numpy as np
import pytest
import torch
from toy_decoders import N_CHANS, N_TIMES, SFREQ, Linear, holding, noise, rhythm

from neurodecode.explain.margin import LEAST, margins, torch_margin, unit_of
from neurodecode.training.estimator import Decoder


class Fixed(torch.nn.Module):
    """The same logits, whatever comes."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(x), -1) + 0 * x[:, :1, 0]


def test_a_class_is_ahead_of_the_mean_of_the_others() -> None:
    x, y = torch.zeros(3, N_CHANS, N_TIMES), torch.arange(3)
    found = torch_margin(Fixed(1.0, 4.0, 10.0), x, y)
    torch.testing.assert_close(found, torch.tensor([1 - 7.0, 4 - 5.5, 10 - 2.5]))
    shifted = torch_margin(Fixed(101.0, 104.0, 110.0), x, y)
    torch.testing.assert_close(shifted, found)


def test_margins_of_a_net_are_the_same_with_and_without_gradients() -> None:
    windows = noise(300)  # more than one batch
    decoder = holding(Linear(np.random.default_rng(0).standard_normal((N_CHANS, N_TIMES))))
    x = torch.from_numpy(decoder.normalized(windows.x))
    wanted = torch_margin(decoder.model_, x, torch.from_numpy(windows.y))
    found = margins(decoder, windows.x, windows.y)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["csp_lda", "dbconformer"])
def test_with_two_classes_it_is_the_log_odds(name: str) -> None:
    windows = rhythm(size=4.0)
    decoder = Decoder(name, sfreq=SFREQ)
    if name == "dbconformer":
        decoder = holding(decoder.build(holding(torch.nn.Identity()).spec_))
    else:
        decoder.fit(windows.x_train, windows.y_train)
    log_odds = decoder.decision_function(windows.x) * np.where(windows.y == 1, 1, -1)
    within = np.abs(log_odds) < -np.log(LEAST) - 1
    assert within.any()
    found = margins(decoder, windows.x, windows.y)
    np.testing.assert_allclose(found[within], log_odds[within], rtol=1e-4)
    assert unit_of(decoder) == ("logit" if name == "dbconformer" else "log-odds")


def test_a_classical_decoder_that_is_sure_has_a_finite_margin() -> None:
    class Sure:
        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.tile([1.0, 0.0], (len(x), 1))

    windows = noise(4)
    decoder = holding(torch.nn.Identity())
    decoder.model_ = Sure()
    found = margins(decoder, windows.x, windows.y)
    np.testing.assert_allclose(found, np.where(windows.y == 0, 1, -1) * -np.log(LEAST))
