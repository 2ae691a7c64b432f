"""What encoders keep of a signal: `python benchmarks/encoders.py [--exponent 2] [--real FILE]`.

One table: the correlation of a signal with what `decode` makes of its events, at equal numbers of
events (on and off together, of a channel in a sample), for every encoder. Which choice was turned
to get that number is said in its row; all others are at their defaults, but for the low-pass of
sigma_delta, whose best of a few time constants is taken. "-" is a number that a code cannot have.
Then, at defaults: events, bits and signal to noise, and millions of samples encoded in a second on
one thread. The last row is snnTorch's `spikegen.delta`, its events added up, where it is installed.

Signals are half a minute of 22 channels at 250 Hz, of power 1 / f^exponent from 0.5 Hz on, with
bursts of a 10 Hz rhythm; or of a recording, its first 22 channels of EEG above 0.5 Hz. All are
standardised by channel. An exponent of 2 is 1/f in amplitude; with 1 there is as much in every
octave up to half the sampling rate, and encoders that follow changes keep less of it. Nothing is
trained: `direct` and `learnable` are as they begin.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurodecode.nn.spiking.encoders import ENCODERS
from neurodecode.nn.spiking.encoders.measure import measure
from neurodecode.nn.spiking.encoders.thresholds import robust_deviation, theta_for

RATES = (0.02, 0.05, 0.1, 0.2, 0.4)
SFREQ, N_CHANS, DURATION = 250.0, 22, 30.0
TURNED = {
    "direct": "threshold", "learnable": "threshold", "adaptive_count": "ratio", "latency": "full",
    "phase": "full", "rate": "full", "send_on_delta": "theta", "sigma_delta": "theta",
}  # fmt: skip
TAUS = (0.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)  # ms


def simulated(exponent: float, seed: int = 0) -> Tensor:
    """Noise and about as much alpha, in bursts: (n_times, 1, n_chans), standardised."""
    rng = np.random.default_rng(seed)
    n = round(DURATION * SFREQ)
    f = np.fft.rfftfreq(n, 1 / SFREQ)
    shape = np.where(f >= 0.5, np.maximum(f, 0.5) ** (-exponent / 2), 0)
    white = np.fft.rfft(rng.standard_normal((n, N_CHANS)), axis=0)
    x = np.fft.irfft(white * shape[:, None], n, axis=0)
    x /= x.std(axis=0)
    t = np.arange(n)[:, None] / SFREQ
    for centre in np.arange(1, DURATION, 2.0):
        burst = np.exp(-0.5 * ((t - centre - rng.uniform(-0.5, 0.5, N_CHANS)) / 0.3) ** 2)
        x += 1.5 * burst * np.sin(2 * np.pi * 10 * t + rng.uniform(0, 2 * np.pi, N_CHANS))
    return standardised(x)


def recorded(path: Path) -> tuple[Tensor, float]:
    """The EEG of a file above 0.5 Hz, standardised, and its sampling rate."""
    from neurodecode.recordings.read import read_raw

    raw = read_raw(path).pick("eeg").filter(0.5, None, verbose="ERROR")
    x = raw.get_data()[:N_CHANS, : round(DURATION * raw.info["sfreq"])].T
    return standardised(x[:, x.std(axis=0) > 0]), float(raw.info["sfreq"])


def standardised(x: np.ndarray) -> Tensor:
    """(n_times, n_chans) as (n_times, 1, n_chans), mean 0 and deviation 1."""
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    return torch.from_numpy(x.astype(np.float32)).unsqueeze(1)


def searched(events_at: Callable[[float], float], rate: float) -> float | None:
    """The choice with that many events a sample; None if there is none within a twentieth."""
    low, high = 1e-2, 1e3
    for _ in range(24):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if events_at(middle) > rate else (low, middle)
    return high if abs(events_at(high) / rate - 1) < 0.05 else None


def correlation(name: str, x: Tensor, dt: float, rate: float) -> float | None:
    """With what is decoded, at that many events a sample."""
    builder, n = ENCODERS.get(name), x.shape[-1]
    if TURNED[name] == "theta":
        theta = tuple((theta_for(x, rate, code=name) * robust_deviation(x)).tolist())
        choices = [{"tau": tau} for tau in TAUS] if name == "sigma_delta" else [{}]
        built = (builder(n, dt=dt, theta=theta, **choice) for choice in choices)
        return max(measure(encoder, x).correlation for encoder in built)

    def made(value: float):  # type: ignore[no-untyped-def]
        torch.manual_seed(0)
        return builder(n, dt=dt, **{TURNED[name]: value})

    @torch.no_grad()
    def events_at(value: float) -> float:
        return float(made(value)(x)[0].sum()) / x.numel()

    value = searched(events_at, rate)
    return None if value is None else measure(made(value), x).correlation


def peer(x: Tensor, rate: float) -> float:
    """The same for snnTorch's `delta`: thresholds found for each channel, events added up."""
    from snntorch import spikegen

    low, high = torch.full(x.shape[-1:], 1e-4), torch.full(x.shape[-1:], 1e4)
    for _ in range(30):
        middle = (low * high).sqrt()
        events = spikegen.delta(x, threshold=middle, off_spike=True)
        many = events.abs().mean(dim=(0, 1)) > rate
        low, high = torch.where(many, middle, low), torch.where(many, high, middle)
    rebuilt = (events * middle).cumsum(0)
    pairs = zip(x.flatten(1).T, rebuilt.flatten(1).T, strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


def speed(name: str, dt: float) -> float:
    """Millions of samples in a second."""
    x = torch.randn(1000, 8, N_CHANS)
    encoder, seconds = ENCODERS.get(name)(N_CHANS, dt=dt), math.inf
    with torch.no_grad():
        for _ in range(4):
            start = time.perf_counter()
            encoder(x)
            seconds = min(seconds, time.perf_counter() - start)
    return x.numel() / seconds / 1e6


def table(x: Tensor, dt: float) -> None:
    """A line per encoder."""
    columns = "".join(f"{rate:>7}" for rate in RATES)
    print(
        f"{'correlation at events/sample':<30}{columns}   "
        f"{'events':>7}{'bits':>6}{'dB':>7}{'M/s':>6}"
    )
    for name in ENCODERS.names():
        found = "".join(_cell(correlation(name, x, dt, rate)) for rate in RATES)
        torch.manual_seed(0)
        usual = measure(ENCODERS.get(name)(x.shape[-1], dt=dt), x)
        print(
            f"{name:<16}{'(' + TURNED[name] + ')':<14}{found}   {usual.events_per_sample:7.2f}"
            f"{usual.bits_per_sample:6.2f}{usual.snr_db:7.1f}{speed(name, dt):6.0f}"
        )
    try:
        found = "".join(_cell(peer(x, rate)) for rate in RATES)
        print(f"{'snntorch delta':<16}{'(threshold)':<14}{found}")
    except ImportError as reason:
        print(f"snntorch delta  left out: {reason}")


def _cell(value: float | None) -> str:
    return f"{'-':>7}" if value is None else f"{value:7.2f}"


def main() -> None:
    """One table, or two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--real", type=Path, metavar="FILE", help="a recording to do the same with")
    parser.add_argument("--exponent", type=float, default=2.0, help="of the power of the noise")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"simulated, power 1/f^{options.exponent:g}, {N_CHANS} channels, {SFREQ:g} Hz, "
        f"{DURATION:g} s"
    )
    table(simulated(options.exponent), 1 / SFREQ)
    if options.real:
        x, sfreq = recorded(options.real)
        print(f"\n{options.real.name}, {x.shape[-1]} channels, {sfreq:g} Hz, {len(x) / sfreq:g} s")
        table(x, 1 / sfreq)


if __name__ == "__main__":
    main()
