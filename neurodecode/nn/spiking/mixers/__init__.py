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

from torch import Tensor

from neurodecode.core.errors import ConfigError
from neurodecode.core.registry import Registry
from neurodecode.nn.spiking.stateful import Stateful

MIXERS: Registry[Callable[..., Stateful]] = Registry("mixer", package=__name__)


def check_heads(width: int, n_heads: int, parts: int = 1) -> None:
    """Refuse heads that do not share the features evenly, each in so many parts.

    Raises
    ------
    ConfigError
        With the nearest width that would do.
    """
    share = n_heads * parts
    if n_heads < 1 or width % share:
        each = f", each in {parts} parts" if parts > 1 else ""
        near = f" Take width={max(round(width / share), 1) * share}." if n_heads > 0 else ""
        raise ConfigError(f"width={width} cannot be shared among n_heads={n_heads}{each}.{near}")


def by_head(x: Tensor, n_parts: int, n_heads: int) -> Tensor:
    """Features of tokens, by part and head.

    (n_steps, batch, n_tokens, n_parts * width) to (n_parts, n_steps, batch, n_heads, n_tokens,
    width / n_heads), so that ``q, k, v = by_head(x, 3, n_heads)``.
    """
    return x.reshape(*x.shape[:-1], n_parts, n_heads, -1).permute(3, 0, 1, 4, 2, 5)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """``q k^T v``, (..., n_tokens, features), in whichever order is less work."""
    return q @ (k.mT @ v) if q.shape[-2] > q.shape[-1] else (q @ k.mT) @ v
