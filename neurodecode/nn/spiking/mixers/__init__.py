"""Mixers: what exchanges information between tokens, by name.

A mixer is built from the features of a token, a number of heads, a way to make neurons and
keyword-only choices. It is `Stateful`: it takes membranes (n_steps, batch, n_tokens, width), spikes
before every product with weights or with other spikes, and returns the currents that a block adds
to those membranes, of the same shape:

    population = Population("lif")
    mixer = MIXERS.get("ssa")(40, n_heads=2, dt=0.5, population=population)
    currents, state = mixer(membranes)

What depends on other steps depends on earlier ones only and goes through the state, so that a
window in parts gives what the whole window gives. Any number of tokens is taken.
"""

from collections.abc import Callable

from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.stateful import Stateful

MIXERS: Registry[Callable[..., Stateful]] = Registry("mixer", package=__name__)
