"""Spiking networks: neurons that keep their state outside, and what is built from them.

Signals are (n_steps, batch, ..., n_features): steps first, features last. Whatever remembers
something is a `Stateful` module: ``y, state = module(x, state)``, and a run in pieces gives what
one run gives. Nothing is kept between calls, so nothing has to be reset and two nets cannot
disturb each other.

==============  ==========================================================================
`surrogates`    slopes that stand in for that of a step (`SURROGATES`)
`kernel`        membrane, spikes and reset over all steps at once, in C or in torch
`neurons`       the neurons (`NEURONS`)
`encoders`      signals to spikes, and back (`ENCODERS`)
`mixers`        what exchanges information between tokens (`MIXERS`)
`transformer`   blocks made of a mixer and of neurons
`timebase`      how EEG is laid on the steps: repeat, window or stream
`watch`         spikes and membranes of a net while it runs, for losses and counts
==============  ==========================================================================
"""

from collections.abc import Callable
from typing import Any

from neurodecode.core.registry import Registry

SURROGATES: Registry[Callable[..., Any]] = Registry("surrogate", package=__name__)
