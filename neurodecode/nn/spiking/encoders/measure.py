"""What an encoder keeps of a signal, and what it costs in events."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from neurodecode.nn.spiking.encoders import Encoder
from neurodecode.nn.spiking.encoders.frames import in_frames


@dataclass(frozen=True, slots=True)
class Measured:
    """What `measure` found, as means over features.

    Attributes
    ----------
    events_per_sample
        Events, on and off together, of a feature in a sample.
    bits_per_sample
        Entropy of what a feature sends for a sample, all steps of a frame together, bits: from how
        often each pattern came, as if samples did not depend on one another. It is the most that
        events can tell at this rate; with few samples for many patterns it comes out too small.
    correlation
        Of the signal with what `decode` makes of events; 0 where either is constant.
    snr_db
        Power of the signal over that of what `decode` got wrong, dB. No gain or delay is mended.
    """

    events_per_sample: float
    bits_per_sample: float
    correlation: float
    snr_db: float


@torch.no_grad()
def measure(encoder: Encoder, x: Tensor) -> Measured:
    """Encode a signal, decode it, compare.

    Parameters
    ----------
    encoder
        As it is to be used; nothing about it is fitted here.
    x
        Standardised signal, (n_times, batch, ..., n_features).
    """
    events, _ = encoder(x)
    rebuilt, _ = encoder.decode(events)
    signal, again = (a.reshape(-1, encoder.n_features).double() for a in (x, rebuilt))
    frames = in_frames(events, encoder.steps_per_sample).movedim(1, -2)
    frames = frames.reshape(len(signal), -1, 2, encoder.n_features)
    error = (signal - again).square().mean(0).clamp(min=1e-30)
    snr = 10 * (signal.square().mean(0).clamp(min=1e-30) / error).log10()
    return Measured(
        events_per_sample=float(events.sum()) / signal.numel(),
        bits_per_sample=sum(map(_entropy, frames.unbind(-1))) / encoder.n_features,
        correlation=float(_correlation(signal, again).mean()),
        snr_db=float(snr.mean()),
    )


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's, of each feature: (n, n_features) twice to (n_features,)."""
    a, b = a - a.mean(0), b - b.mean(0)
    scale = (a.square().sum(0) * b.square().sum(0)).sqrt()
    return torch.where(scale > 0, (a * b).sum(0) / scale.clamp(min=1e-300), 0.0)


def _entropy(patterns: Tensor) -> float:
    """Bits of the patterns (n_samples, n_steps, 2) of a feature, by how often each comes."""
    flat = patterns.flatten(1).long()
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(2**62, flat.shape[1:], generator=generator).to(flat.device)
    hashed = (flat * weights).sum(1)  # of 10^6 patterns, two agree with a probability of 10^-7
    counts = torch.unique(hashed, return_counts=True)[1]
    shares = counts.double() / counts.sum()
    return max(0.0, -float((shares * shares.log()).sum()) / math.log(2))
