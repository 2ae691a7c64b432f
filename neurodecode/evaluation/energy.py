"""What a net's operations would cost: modelled energy from measured counts, never measured energy.

**Operations** in 45 nm CMOS, pJ: a multiply-accumulate 4.6 and an addition 0.9 in single precision,
1.5 and 0.4 in half, 0.23 and 0.03 in 8 bits (Horowitz, "Computing's energy problem (and what we can
do about it)", ISSCC 2014, as the literature on spiking nets takes them). A membrane takes a
multiply-accumulate at every step, or an addition where it forgets nothing.

**Memory**: 3.12 pJ for each bit that is moved (the constant of STEP, arXiv 2505.11151). What is
moved, in layers that run one after the other on a window:

- whatever comes in or goes out of a layer, once: a number takes the bits of the precision, a place
  where a spike may be takes 1 bit at every step, whether there is one or not;
- weights, once each time the layer is applied, so once at every step; under spikes only those that
  a spike meets, so never more than there are accumulates;
- membranes, read and written at every step.

Partial sums stay inside the layer until its step is done. There is one kind of memory, everything
fits into it, and moving something within a layer is free: caches, networks on a chip, control and
idle current are left out. That suits both sides alike, and flatters both.

**The conventional counterpart** is quantised and matched in bits: the same layers with activations
of ``ceil(log2(T + 1))`` bits where there are spikes of T steps, and 8-bit weights and numbers
elsewhere. Where each step sees the whole window again, it runs once; where each sees a part of its
own, it sees every part, as its neurons' twins would. It pays for operations and memory by the same
rules, and for no membranes; zeros save it nothing. A multiply-accumulate of `a` by `b` bits takes
0.2 a b / 64 + 0.03 pJ: the 8-bit multiplier scaled by its area, and the 8-bit adder.

The matching of bits is that of Yan et al., "Reconsidering the energy efficiency of spiking neural
networks", arXiv 2409.08290 (abstract of version 4 read; its formulas were not at hand, and it
counts a network on chip that is left out here, so its rates below which spikes pay are lower).
"""

import math
from dataclasses import dataclass, replace
from typing import Any

from neurodecode.core.counts import Counts, LayerCount

PJ_PER_BIT = 3.12


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """Bits of a number, and what it costs to compute with it.

    Attributes
    ----------
    bits
        Of weights, numbers and membranes alike.
    mac, ac
        A multiply-accumulate and an accumulate, pJ.
    """

    bits: int
    mac: float
    ac: float


FP32 = Precision(bits=32, mac=4.6, ac=0.9)
FP16 = Precision(bits=16, mac=1.5, ac=0.4)
INT8 = Precision(bits=8, mac=0.23, ac=0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Modelled energy of a window, nJ.

    Attributes
    ----------
    operations
        In single precision, what is usually published. Alone it says little.
    memory
        The same with the memory that it takes.
    memory_int8
        Operations and memory in 8 bits: to be compared with `quantised`.
    quantised
        Operations and memory of the conventional counterpart; None for a net without spikes.
    """

    operations: float
    memory: float
    memory_int8: float
    quantised: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossover:
    """Spikes per neuron and step at which a spiking net costs what its counterpart does.

    All rates are scaled alike. 0 says that the net costs more even in silence, 1 that it costs less
    at any rate.

    Attributes
    ----------
    operations, memory
        Without and with memory, both in 8 bits.
    """

    operations: float
    memory: float


def energy(counts: Counts) -> Energy:
    """Energy of a window, by all accounts."""
    return total(counts, counts.layers)


def layer_energy(counts: Counts, layer: LayerCount) -> Energy:
    """Energy of one layer of a net."""
    return total(counts, [layer])


def total(counts: Counts, layers: list[LayerCount]) -> Energy:
    """Energy of some layers of a net."""
    return Energy(
        operations=sum(operations(layer, FP32) for layer in layers) / 1e3,
        memory=sum(operations(layer, FP32) + memory(layer, FP32) for layer in layers) / 1e3,
        memory_int8=sum(operations(layer, INT8) + memory(layer, INT8) for layer in layers) / 1e3,
        quantised=None
        if counts.rate is None
        else sum(
            quantised_operations(layer, counts) + quantised_memory(layer, counts)
            for layer in layers
        )
        / 1e3,
    )


def operations(layer: LayerCount, precision: Precision) -> float:
    """Operations of a layer, pJ."""
    return layer.macs * precision.mac + layer.acs * precision.ac


def memory(layer: LayerCount, precision: Precision) -> float:
    """What a layer moves, pJ."""
    met = min(layer.weights * layer.steps, layer.macs + layer.acs)
    numbers = layer.inputs + layer.outputs + 2 * layer.membranes + met
    return PJ_PER_BIT * (precision.bits * numbers + layer.spike_inputs + layer.spike_outputs)


def bits_of(n_steps: int) -> int:
    """Bits of an activation that can say as much as spikes of so many steps."""
    return math.ceil(math.log2(n_steps + 1))


def low_bit_mac(a: int, b: int) -> float:
    """A multiply-accumulate of integers of `a` and `b` bits, pJ."""
    return (INT8.mac - INT8.ac) * a * b / INT8.bits**2 + INT8.ac


def quantised_operations(layer: LayerCount, counts: Counts) -> float:
    """Operations of the layer's conventional counterpart, pJ."""
    if layer.kind == "neurons":
        return 0.0
    bits = bits_of(counts.n_steps)
    all_steps = (
        layer.macs * low_bit_mac(INT8.bits, INT8.bits)
        + layer.spared * low_bit_mac(INT8.bits, bits)
        + layer.spared_both * low_bit_mac(bits, bits)
    )
    return all_steps / _runs(layer, counts)


def quantised_memory(layer: LayerCount, counts: Counts) -> float:
    """What the layer's conventional counterpart moves, pJ."""
    runs = _runs(layer, counts)
    numbers = (layer.inputs + layer.outputs) / runs
    activations = (layer.spike_inputs + layer.spike_outputs) / runs
    products = (layer.macs + layer.spared + layer.spared_both) / runs
    weights = min(layer.weights * layer.steps / runs, products) if layer.weights else 0.0
    return PJ_PER_BIT * (INT8.bits * (numbers + weights) + bits_of(counts.n_steps) * activations)


def _runs(layer: LayerCount, counts: Counts) -> int:
    """Runs of a spiking layer that are one of its counterpart."""
    return layer.steps if counts.repeats else 1


def scaled(counts: Counts, factor: float) -> Counts:
    """The same net with all rates scaled: accumulates of two spikes go with the square."""
    layers = [
        layer
        if layer.kind == "neurons"
        else replace(
            layer,
            acs=(layer.acs - layer.acs_both) * factor + layer.acs_both * factor**2,
            acs_both=layer.acs_both * factor**2,
        )
        for layer in counts.layers
    ]
    return replace(counts, layers=layers)


def crossover(counts: Counts) -> Crossover | None:
    """Where the net costs what its conventional counterpart does; None if nothing spikes."""
    rate = counts.rate
    if not rate:
        return None
    quantised = sum(quantised_operations(layer, counts) for layer in counts.layers)
    moved = sum(quantised_memory(layer, counts) for layer in counts.layers)

    def spiking(rate_then: float, *, with_memory: bool) -> float:
        layers = scaled(counts, rate_then / rate).layers
        return sum(
            operations(layer, INT8) + (memory(layer, INT8) if with_memory else 0.0)
            for layer in layers
        )

    return Crossover(
        operations=_where(lambda r: spiking(r, with_memory=False) - quantised),
        memory=_where(lambda r: spiking(r, with_memory=True) - quantised - moved),
    )


def _where(excess: Any) -> float:
    """The rate in [0, 1] at which a growing function crosses zero; an end if it does not."""
    low, high = 0.0, 1.0
    if excess(low) >= 0:
        return low
    if excess(high) <= 0:
        return high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if excess(middle) > 0 else (middle, high)
    return (low + high) / 2
