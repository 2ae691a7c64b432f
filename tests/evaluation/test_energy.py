"""Energies by hand, and rates at which two nets cost the same."""

from dataclasses import replace

import pytest

from neurodecode.core.counts import Counts, LayerCount
from neurodecode.evaluation.energy import (
    FP16,
    FP32,
    INT8,
    PJ_PER_BIT,
    bits_of,
    crossover,
    energy,
    layer_energy,
    low_bit_mac,
    memory,
    operations,
    quantised_memory,
    quantised_operations,
    scaled,
)


def spiking(n_in: int, n_out: int, n_steps: int, rate: float) -> Counts:
    """A layer of spikes at each of some repeats of the same window, and its neurons."""
    places, pairs = n_in * n_steps, n_in * n_out * n_steps
    layer = LayerCount(
        layer="lin",
        kind="matrix",
        steps=n_steps,
        acs=rate * pairs,
        spared=pairs,
        spike_inputs=places,
        spikes=rate * places,
        outputs=n_out * n_steps,
        weights=n_in * n_out,
    )
    updates = n_out * n_steps
    neurons = LayerCount(
        layer="lif",
        kind="neurons",
        steps=n_steps,
        macs=updates,
        inputs=updates,
        membranes=updates,
        spike_outputs=updates,
        spikes=rate * updates,
    )
    return Counts(layers=[layer, neurons], n_steps=n_steps)


def test_operations_by_hand() -> None:
    layer = LayerCount(layer="x", kind="matrix", macs=1000, acs=100)
    assert operations(layer, FP32) == pytest.approx(4600 + 90)
    assert operations(layer, FP16) == pytest.approx(1500 + 40)
    assert operations(layer, INT8) == pytest.approx(230 + 3)


def test_memory_of_a_layer_of_numbers_by_hand() -> None:
    layer = LayerCount(layer="x", kind="matrix", macs=12, inputs=3, outputs=4, weights=12)
    assert memory(layer, FP32) == pytest.approx(3.12 * 32 * (3 + 4 + 12))


def test_memory_of_a_layer_of_spikes_by_hand() -> None:
    """Of 2 steps with 3 inputs and 4 outputs, two spikes in all: 8 weights are read, not 24."""
    lin, lif = spiking(3, 4, 2, rate=1 / 3).layers
    assert lin.acs == pytest.approx(8)
    assert memory(lin, INT8) == pytest.approx(3.12 * (8 * (8 + 8) + 6))
    # 8 currents in, 8 membranes read and written, 8 places for spikes
    assert memory(lif, INT8) == pytest.approx(3.12 * (8 * (8 + 2 * 8) + 8))
    busy = spiking(3, 4, 2, rate=1).layers[0]
    assert memory(replace(busy, acs=1e6), INT8) == memory(busy, INT8)  # no weight twice in a step


@pytest.mark.parametrize(("n_steps", "bits"), [(1, 1), (3, 2), (4, 3), (7, 3), (8, 4), (16, 5)])
def test_so_many_bits_say_what_so_many_steps_do(n_steps: int, bits: int) -> None:
    assert bits_of(n_steps) == bits


def test_low_bits_are_scaled_from_eight() -> None:
    assert low_bit_mac(8, 8) == pytest.approx(INT8.mac)
    assert low_bit_mac(8, 4) == pytest.approx(0.2 / 2 + 0.03)


def test_the_counterpart_runs_once_where_steps_repeat_the_window() -> None:
    counts = spiking(3, 4, 7, rate=0.5)
    lin, lif = counts.layers
    assert quantised_operations(lin, counts) == pytest.approx(12 * low_bit_mac(8, 3))
    assert quantised_memory(lin, counts) == pytest.approx(3.12 * (8 * (12 + 4) + 3 * 3))
    assert quantised_operations(lif, counts) == 0
    assert quantised_memory(lif, counts) == pytest.approx(3.12 * (8 * 4 + 3 * 4))
    parts = replace(counts, repeats=False)
    for layer in counts.layers:
        assert quantised_operations(layer, parts) == 7 * quantised_operations(layer, counts)
        assert quantised_memory(layer, parts) == pytest.approx(7 * quantised_memory(layer, counts))


def test_a_net_is_the_sum_of_its_layers() -> None:
    counts = spiking(30, 40, 4, rate=0.2)
    whole, parts = energy(counts), [layer_energy(counts, layer) for layer in counts.layers]
    for name in ("operations", "memory", "memory_int8", "quantised"):
        assert getattr(whole, name) == pytest.approx(sum(getattr(part, name) for part in parts))
    assert whole.memory > whole.operations


def test_a_conventional_net_has_no_counterpart() -> None:
    counts = Counts(layers=[LayerCount(layer="x", kind="matrix", macs=9, inputs=3, outputs=3)])
    assert energy(counts).quantised is None
    assert crossover(counts) is None


def test_at_the_crossover_both_cost_the_same() -> None:
    counts = spiking(64, 64, 8, rate=0.2)
    found = crossover(counts)
    assert found is not None
    assert 0 < found.memory < found.operations < 1
    there = scaled(counts, found.memory / 0.2)
    quantised = energy(counts).quantised
    assert quantised is not None
    assert energy(there).memory_int8 == pytest.approx(quantised)
    there = scaled(counts, found.operations / 0.2)
    spikes = sum(operations(layer, INT8) for layer in there.layers)
    assert spikes == pytest.approx(sum(quantised_operations(x, counts) for x in counts.layers))


def test_the_crossover_does_not_depend_on_the_rate_that_was_measured() -> None:
    found = [crossover(spiking(64, 64, 8, rate=rate)) for rate in (0.01, 0.3)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].memory == pytest.approx(found[1].memory)


def test_accumulates_of_two_spikes_go_with_the_square_of_their_rates() -> None:
    layer = LayerCount(layer="x", kind="product", acs=30, acs_both=20)
    (found,) = scaled(Counts(layers=[layer]), 3).layers
    assert (found.acs, found.acs_both) == (3 * 10 + 9 * 20, 9 * 20)


@pytest.mark.parametrize(("n_steps", "percent"), [(4, 24), (8, 11), (16, 4.8)])
def test_one_layer_crosses_over_where_an_independent_count_says(
    n_steps: int, percent: float
) -> None:
    """256 by 256, 8-bit weights that are used once a step: counted before this was written."""
    found = crossover(spiking(256, 256, n_steps, rate=0.1))
    assert found is not None
    assert 100 * found.memory == pytest.approx(percent, rel=0.03)


def test_a_net_may_cost_more_in_silence_or_less_at_any_rate() -> None:
    counts = spiking(64, 64, 8, rate=0.2)
    lin, lif = counts.layers
    heavy = replace(counts, layers=[lin, replace(lif, macs=1e6, membranes=lif.membranes)])
    light = replace(counts, layers=[replace(lin, acs=1e-3), lif])
    assert crossover(heavy).memory == 0  # type: ignore[union-attr]
    assert crossover(light).operations == 1  # type: ignore[union-attr]


def test_the_constant_of_memory_is_that_of_a_byte() -> None:
    assert pytest.approx(24.96) == 8 * PJ_PER_BIT
