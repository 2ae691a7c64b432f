r"""Amplitude gradients: how the margin changes when a rhythm of an electrode grows.

A channel is a sum of sines, :math:`x_t = \sum_k A_k \cos(2 \pi k t / n + \varphi_k)`. With phases
held, the margin changes with the amplitude of each by

.. math:: \frac{\partial m}{\partial A_k}
    = \sum_t \frac{\partial m}{\partial x_t} \cos\left(\frac{2 \pi k t}{n} + \varphi_k\right)
    = \mathrm{Re}\left(e^{i \varphi_k} \overline{G_k}\right)

where G is the Fourier transform of the gradient. Below 0, more of the rhythm speaks against the
class: desynchronisation.

Reference: "Deep learning with convolutional neural networks for EEG decoding and visualization",
Human Brain Mapping 2017, doi:10.1002/hbm.23730 (its input-perturbation maps, in the limit of small
perturbations, as braindecode does it).
"""

import numpy as np
import torch
from torch import nn

from neurodecode.explain import EXPLAINERS
from neurodecode.explain.attribution import Array, as_array, gradient
from neurodecode.explain.nets import batches
from neurodecode.explain.windows import Axes, Maps, Windows
from neurodecode.training.estimator import Decoder


@EXPLAINERS.add("amplitude_gradient")
def amplitude_gradient(decoder: Decoder, windows: Windows) -> Maps | None:
    """Change of the margin with the amplitude of each frequency of each channel, signed.

    Mean over the windows of a class, and over the Fourier bins of 1 Hz; over channels for "freq".
    "chan" is the mean size over frequencies. None for decoders that are no nets.
    """
    if not isinstance(decoder.model_, nn.Module):
        return None
    spectra = []
    for part, batch in batches(decoder, windows.x):
        y = torch.from_numpy(windows.y[part]).to(batch.device)
        g = as_array(gradient(decoder.model_, batch, y)) / decoder.scale_
        spectra.append(in_bins(by_amplitude(np.nan_to_num(windows.x[part]), g), windows.axes))
    chan_freq = windows.by_class(np.concatenate(spectra))
    kinds = {
        "chan_freq": chan_freq,
        "freq": chan_freq.mean(axis=1),
        "chan": np.abs(chan_freq).mean(axis=2),
    }
    return Maps(kinds=kinds, unit="logit per µV", signed=True)


def by_amplitude(x: Array, g: Array) -> Array:
    """Change of what `g` (..., n_times) is the gradient of with the amplitudes of `x`'s sines.

    Returns
    -------
    Array
        (..., n_times // 2 + 1); 0 where `x` has nothing at a frequency, and so no phase.
    """
    spectrum = np.fft.rfft(x, axis=-1)
    amplitude = np.abs(spectrum)
    phase = np.where(amplitude > 0, spectrum / np.where(amplitude > 0, amplitude, 1), 0)
    return np.asarray((phase * np.fft.rfft(g, axis=-1).conj()).real)


def in_bins(spectra: Array, axes: Axes) -> Array:
    """Mean over the Fourier bins of each bin of frequency: (..., n_times // 2 + 1) to theirs."""
    n = axes.in_freq(np.ones(spectra.shape[-1]))
    return np.asarray(axes.in_freq(spectra) / np.maximum(n, 1))
