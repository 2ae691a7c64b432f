"""Spikes are told from numbers by their values alone."""

import pytest
import torch

from neurodecode.nn.spiking.levels import heights_of, spike_counts
from neurodecode.nn.spiking.neurons.lif import LIF
from neurodecode.nn.spiking.neurons.relu import Relu

NONE = torch.empty(0)


def population(thresholds: list[float]) -> LIF:
    """Neurons whose spikes are as high as their thresholds."""
    lif = LIF(len(thresholds), dt=0.001, learn_threshold=True, surrogate="trsg")
    with torch.no_grad():
        assert lif.raw_threshold is not None
        lif.raw_threshold.copy_(torch.tensor(thresholds).expm1().log())
    return lif


@pytest.mark.parametrize("height", [1.0, 0.3, 1 / 7])
def test_whole_multiples_of_one_value_are_counts(height: float) -> None:
    counts = torch.tensor([[0.0, 2, 3], [16, 0, 5]])
    found = spike_counts(counts * height, NONE)
    assert found is not None
    torch.testing.assert_close(found, counts)


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([1.0, 17.0]),  # more than a count
        torch.tensor([1.0, 1.5, 2.01]),
        torch.randn(4, 5, generator=torch.Generator().manual_seed(0)).relu(),
        torch.tensor([0.0, 0.7]),  # of a single number, nobody can say
        torch.zeros(3),  # nor of none
    ],
)
def test_numbers_are_not_spikes(x: torch.Tensor) -> None:
    assert spike_counts(x, NONE) is None


def test_signs_are_not_looked_at() -> None:
    found = spike_counts(torch.tensor([0.5, -0.5, 0.0, 1.0]), NONE)
    assert found is not None
    assert found.tolist() == [1, 1, 0, 2]


def test_spikes_of_different_heights_are_known_by_their_neurons_wherever_they_lie() -> None:
    lif = population([0.31, 0.77, 1.93])
    spikes, _ = lif(5 * torch.rand(20, 4, 3, generator=torch.Generator().manual_seed(0)))
    assert spikes.any()
    assert spike_counts(spikes, NONE) is None
    found = spike_counts(spikes.permute(1, 2, 0).flatten(), heights_of([lif]))
    assert found is not None
    assert found.sum() == (spikes > 0).sum()
    assert found.max() == 1


def test_of_a_net_that_spikes_zeros_are_silence_and_one_spike_is_a_spike() -> None:
    heights = heights_of([population([0.5])])
    for x, n in ((torch.zeros(3), 0), (torch.tensor([0.0, 0.5]), 1)):
        found = spike_counts(x, heights)
        assert found is not None
        assert found.sum() == n


def test_whole_numbers_are_counts_of_themselves_or_numbers() -> None:
    heights = heights_of([LIF(3, dt=0.001)])
    found = spike_counts(torch.tensor([3.0, 3, 0]), heights)  # not one spike each of height 3
    assert found is not None
    assert found.tolist() == [3, 3, 0]
    assert spike_counts(torch.tensor([20.0, 40]), heights) is None


def test_twins_have_no_heights() -> None:
    lif = LIF(3, dt=0.001)
    lif.form = "relu"
    relu = Relu(3, dt=0.001)
    relu.form = "spiking"  # as `set_form` may put it; it still does not spike
    assert heights_of([lif, relu]).numel() == 0


def test_a_count_of_an_integer_neuron_is_as_many_spikes() -> None:
    from neurodecode.nn.spiking.neurons import NEURONS

    heights = heights_of([NEURONS.get("integer")(3, dt=0.01, levels=4)])
    counts = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    assert torch.equal(spike_counts(counts, heights), counts)


def test_spikes_as_high_as_their_threshold_are_one_each() -> None:
    from neurodecode.nn.spiking.neurons import NEURONS

    high = NEURONS.get("lif")(3, dt=0.01, threshold=0.7, surrogate="trsg")
    assert torch.equal(
        spike_counts(torch.tensor([0.0, 0.7]), heights_of([high])), torch.tensor([0.0, 1.0])
    )
