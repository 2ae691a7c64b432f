"""Signal and artifact at a stated ratio, in the two conventions that papers use.

EEGdenoiseNet (Zhang et al., J. Neural Eng. 18:056057, 2021) divides by 10^(snr/10) where the ratio
is one of amplitudes: its "-7 to +2 dB" are -14 to +4 dB of power. Later papers use the decibel of
physics. Scores under the two are not comparable, so there is no default.
"""

from typing import Literal, get_args

from neurodecode.core.errors import ConfigError, SignalError, UnknownName

Convention = Literal["power", "eegdenoisenet"]


def mixing_scale(
    signal_rms: float, artifact_rms: float, snr: float, *, convention: Convention
) -> float:
    """Factor on the artifact that mixes it into the signal at `snr` dB.

    Parameters
    ----------
    signal_rms, artifact_rms
        Root mean squares over the same stretch, any unit.
    snr
        Signal to artifact, dB.
    convention
        "power": 10 log10 of the ratio of powers is `snr`. "eegdenoisenet": 10 log10 of the ratio
        of amplitudes is, which is twice as many dB of power.

    Raises
    ------
    SignalError
        If the artifact is silent.
    UnknownName
        For a convention of another name.
    """
    if convention not in get_args(Convention):
        raise UnknownName("convention of decibels", convention, get_args(Convention))
    if not -60 <= snr <= 60:
        raise ConfigError(f"snr = {snr:g} dB is not between -60 and 60. Usual are -10 to 10.")
    if artifact_rms <= 0:
        raise SignalError(
            f"A silent artifact cannot be mixed in at {snr:g} dB. Leave it out, or ask for none."
        )
    divisor = 20 if convention == "power" else 10
    return float(signal_rms / (artifact_rms * 10 ** (snr / divisor)))
