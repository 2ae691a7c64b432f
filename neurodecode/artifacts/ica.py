"""Independent components that look like eyes, muscles, heart or line are taken out.

Components are those of `mne.preprocessing.ICA` (extended picard where it is installed, else
FastICA), found on a copy from 1 to 100 Hz with an average reference. They are named by ICLabel
("ICLabel: An automated electroencephalographic independent component classifier", NeuroImage 2019,
doi:10.1016/j.neuroimage.2019.05.026), or by their correlation with the eyes and by MNE's score of
muscles. What is removed is one fixed matrix, the same offline and live.

The recording keeps its own reference. A component's map there, the share of it that reaches every
channel alike included, is the regression of the channels on all components: with the maps of the
average reference alone, the mean of a blink over channels would stay in each of them.
"""

import logging
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Self

import mne
import numpy as np
from mne.io import BaseRaw
from mne.preprocessing import ICA

from neurodecode.artifacts import CLEANERS
from neurodecode.artifacts.extra import extra, has
from neurodecode.artifacts.recording import Array, brain_channels, check_rate, signal_of
from neurodecode.artifacts.regression import forehead
from neurodecode.artifacts.stepwise import Stepwise
from neurodecode.core.errors import ConfigError, SignalError
from neurodecode.preprocess.filter import filter_zero_phase
from neurodecode.recordings.montage import electrode_directions

logger = logging.getLogger(__name__)

Kind = Literal["eye", "muscle", "heart", "line", "channel"]

BAND = (1.0, 100.0)
"""Hz, of the copy that components are found on; ICLabel was trained on it."""
ICLABEL = ("brain", "muscle", "eye", "heart", "line", "channel", "other")
"""ICLabel's classes, in its order."""
RANK = 1e-6
"""Directions with less of the mean variance are taken for the traces of a reference."""
ENOUGH, FEWEST = 20, 5
"""Samples for each pair of components: those that are asked for need the second, and by default
there are no more than the first allows."""
SLOWEST = 100.0
"""Sampling rate that ICLabel's autocorrelations need, Hz."""
SHORTEST = 5.0
"""Signal without which nothing is found that would hold elsewhere, s."""
PLENTY = 100
"""Samples for each pair of components, beyond which some are skipped to save time."""
EYES = 0.7
"""Correlation with an EOG channel or the forehead from which a component is called eyes."""


@CLEANERS.add("ica")
class IndependentComponents(Stepwise):
    """Independent component analysis with a frozen projection.

    Parameters
    ----------
    labels
        Who names the components: "iclabel" (in the `denoise` extra; EEG with positions), "scores",
        or "auto", ICLabel where it can.
    threshold
        Probability by ICLabel from which a component goes.
    kinds
        Which kinds go. Scores know only eyes and muscles.
    n_components
        The most components; by default as many as the signal has rank and length for.
    seed
        Another seed starts the search elsewhere.

    Attributes
    ----------
    projection_
        (n_chans, n_chans): cleaned = projection_ @ recorded.
    labels_
        Name of each component: ICLabel's class, or "eye", "muscle" and "other".
    scores_
        Probability or score of that name, (n_components,).
    removed_
        Indices of the components that were taken out.
    counts_
        How many of each kind were.
    maps_
        Map of each component, (n_chans, n_components), V.
    labelled_by_, method_
        "iclabel" or "scores"; "picard" or "fastica".
    """

    def __init__(
        self,
        *,
        labels: Literal["auto", "iclabel", "scores"] = "auto",
        threshold: float = 0.8,
        kinds: Sequence[Kind] = ("eye", "muscle", "heart", "line", "channel"),
        n_components: int | None = None,
        seed: int = 0,
    ) -> None:
        self.labels = labels
        self.threshold = threshold
        self.kinds = kinds
        self.n_components = n_components
        self.seed = seed

    def fit(self, raws: Sequence[BaseRaw]) -> Self:
        """Find components in all recordings together, and choose which to take out.

        Raises
        ------
        SignalError
            If there are fewer than 3 channels, too few samples for the components, or ICLabel was
            asked for and channels are not EEG, have no position or come at less than 100 Hz.
        ConfigError
            If ICLabel was asked for and is not installed, or an option cannot be.
        """
        self._check()
        self.ch_names_ = tuple(brain_channels(raws[0]))
        self.sfreq_ = float(raws[0].info["sfreq"])
        placed = electrode_directions(raws[0].info, self.ch_names_) is not None
        self.labelled_by_ = self._labeller(raws[0], placed)
        x, eyes = self._signal(raws)
        average = np.eye(len(x)) - 1 / len(x)
        n = _n_components(average @ x, self.n_components)
        referenced = _as_raw(average @ x, raws[0], self.ch_names_)
        ica = self._components(referenced, n)
        unmixing = _unmixing(ica) @ average
        sources = unmixing @ x
        self.maps_ = np.linalg.solve(sources @ sources.T, sources @ x.T).T
        if self.labelled_by_ == "iclabel":
            self.labels_, self.scores_ = _by_iclabel(referenced, ica)
        else:
            self.labels_, self.scores_ = _by_scores(referenced, ica, eyes, placed)
        enough = self.scores_ >= (self.threshold if self.labelled_by_ == "iclabel" else 0)
        self.removed_ = tuple(
            i for i, label in enumerate(self.labels_) if label in self.kinds and enough[i]
        )
        gone = [self.labels_[i] for i in self.removed_]
        self.counts_ = {kind: gone.count(kind) for kind in dict.fromkeys(gone)}
        out = list(self.removed_)
        self.projection_ = np.eye(len(x)) - self.maps_[:, out] @ unmixing[out]
        logger.info("ICA takes out %d of %d components: %s.", len(out), n, self.counts_ or "none")
        return self

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """All samples of a chunk (n_chans, n_samples), V, cleaned; there is no state."""
        return self.projection_ @ x, state

    def _check(self) -> None:
        if self.n_components is not None and self.n_components < 2:
            raise ConfigError(
                f"ica n_components={self.n_components} leaves nothing to choose from: give 2 or "
                f"more, or leave it out."
            )
        if not 0 <= self.threshold <= 1:
            raise ConfigError(
                f"ica threshold={self.threshold:g} is a probability: give one in [0, 1]."
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"ica seed={self.seed} must be from 0 to 2**32 - 1.")

    def _labeller(self, raw: BaseRaw, placed: bool) -> str:
        eeg = set(raw.get_channel_types(list(self.ch_names_))) == {"eeg"}
        able = placed and eeg and self.sfreq_ >= SLOWEST
        if self.labels == "scores" or (
            self.labels == "auto" and not (able and has("mne_icalabel"))
        ):
            return "scores"
        extra("mne_icalabel", "ica.labels = 'iclabel'")
        if not able:
            raise SignalError(
                "ICLabel looks at maps of EEG at 100 Hz or more, and these channels are not all "
                f"EEG with a position, or come at {self.sfreq_:g} Hz. Name them by the 10-20 "
                "system and keep a higher rate, or take ica.labels='scores'."
            )
        return "iclabel"

    def _signal(self, raws: Sequence[BaseRaw]) -> tuple[Array, Array]:
        """Filtered signal of all recordings, and of what sees their eyes, (n, n_samples)."""
        eog = mne.pick_types(raws[0].info, meg=False, eog=True, exclude="bads")
        names = (*self.ch_names_, *(raws[0].ch_names[i] for i in eog))
        parts = []
        for raw in raws:
            check_rate(raw, self.sfreq_)
            signal_of(raw, names)
            part = raw.copy().load_data().pick(list(names))
            high = BAND[1] if BAND[1] < self.sfreq_ / 2 else None
            filter_zero_phase(part, notch=None, band=(BAND[0], high))
            parts.append(signal_of(part, names, skip_bad=True))
        x = np.concatenate(parts, axis=1)
        n = len(self.ch_names_)
        try:
            _, mix = forehead(self.ch_names_)
        except SignalError:  # EOG channels may tell, and muscles can be told without
            return x[:n], x[n:]
        # Beside EOG channels too: not every one that is called so lies where blinks are seen.
        return x[:n], np.concatenate([x[n:], mix @ x[:n]])

    def _components(self, raw: BaseRaw, n: int) -> Any:
        _check_length(raw.n_times, n, self.sfreq_)
        self.method_ = "picard" if has("picard") else "fastica"
        how = {"ortho": False, "extended": True} if self.method_ == "picard" else None
        ica = ICA(
            n,
            method=self.method_,
            fit_params=how,
            random_state=self.seed,
            max_iter=500,
            verbose="ERROR",
        )
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            ica.fit(raw, decim=max(1, raw.n_times // (PLENTY * n**2)), verbose="ERROR")
        if any("converge" in str(warning.message).lower() for warning in said):
            logger.warning("ICA had not converged after %d iterations.", ica.n_iter_)
        return ica


def _n_components(x: Array, most: int | None) -> int:
    """Rank of a signal (n_chans, n_samples), or fewer where it is short.

    A short signal of many channels gives fewer components of its largest directions: eyes and
    muscles are among those.
    """
    if len(x) < 3:
        raise SignalError(
            f"ICA was asked for on {len(x)} channels, and needs 3 or more to tell sources apart. "
            f"Take regression, art or atat."
        )
    variances = np.linalg.eigvalsh(np.cov(x))
    rank = int((variances > RANK * variances.mean()).sum())
    carried = max(3, int(np.sqrt(x.shape[1] / ENOUGH)))
    if most is None and carried < rank:
        logger.info("ICA: %d samples allow %d of %d components.", x.shape[1], carried, rank)
    return min(rank, carried if most is None else most)


def _check_length(n_samples: int, n: int, sfreq: float) -> None:
    if n_samples < SHORTEST * sfreq:
        raise SignalError(
            f"{n_samples / sfreq:.1f} s of signal are too few for ICA; {SHORTEST:g} s are the "
            f"least, and minutes are usual. Give more recordings, or take atat."
        )
    if n_samples < FEWEST * n**2:
        raise SignalError(
            f"{n_samples / sfreq:.0f} s of signal are too few for {n} independent components: "
            f"{FEWEST * n**2 / sfreq:.0f} s are the least, {ENOUGH * n**2 / sfreq:.0f} s are "
            f"usual. Give more recordings, or set ica.n_components lower."
        )
    if n_samples < ENOUGH * n**2:
        logger.warning(
            "%.0f s of signal are few for %d independent components; %.0f s are usual.",
            n_samples / sfreq, n, ENOUGH * n**2 / sfreq,
        )  # fmt: skip


def _as_raw(x: Array, raw: BaseRaw, ch_names: Sequence[str]) -> BaseRaw:
    """Signal of some channels as a recording with their positions."""
    picks = [raw.ch_names.index(name) for name in ch_names]
    info = mne.pick_info(raw.info, picks)
    with info._unlock():  # projections of the recording are not ours to apply
        info["projs"] = []
    out = mne.io.RawArray(x, info, verbose="ERROR")
    if set(out.get_channel_types()) == {"eeg"}:
        out.set_eeg_reference("average", verbose="ERROR")  # it has it; this makes it known
    return out


def _unmixing(ica: Any) -> Array:
    """From channels to components, (n_components, n_chans)."""
    principal = ica.pca_components_[: ica.n_components_] / ica.pre_whitener_[:, 0]
    return np.asarray(ica.unmixing_matrix_ @ principal)


def _by_iclabel(raw: BaseRaw, ica: Any) -> tuple[tuple[str, ...], Array]:
    """ICLabel's class of each component, and its probability."""
    module = extra("mne_icalabel.iclabel", "ica.labels = 'iclabel'")
    with warnings.catch_warnings():
        # Below 200 Hz no signal reaches 100 Hz, and FastICA is not infomax: both are said above.
        warnings.filterwarnings("ignore", message="The provided", category=RuntimeWarning)
        probability = module.iclabel_label_components(raw, ica, inplace=False, backend="torch")
    best = probability.argmax(axis=1)
    return tuple(ICLABEL[i] for i in best), probability.max(axis=1).astype(np.float64)


def _by_scores(raw: BaseRaw, ica: Any, eyes: Array, placed: bool) -> tuple[tuple[str, ...], Array]:
    """Components that follow the eyes or look like muscles, and their scores."""
    labels, scores = ["other"] * ica.n_components_, np.zeros(ica.n_components_)
    # Without positions MNE goes by the spectrum alone, and takes sensor noise for muscles.
    if placed:
        high = min(45.0, 0.45 * raw.info["sfreq"])
        found, score = ica.find_bads_muscle(raw, h_freq=high, verbose="ERROR")
        for i in found:
            labels[i], scores[i] = "muscle", score[i]
    if not len(eyes):
        logger.warning("No EOG channel and none on the forehead: eyes cannot be told.")
        return tuple(labels), scores
    names = [f"eyes {i}" for i in range(len(eyes))]
    info = mne.create_info(names, raw.info["sfreq"], "eog")
    seen = raw.copy().add_channels(
        [mne.io.RawArray(eyes, info, verbose="ERROR")], force_update_info=True
    )
    for name in names:
        found, score = ica.find_bads_eog(
            seen, name, threshold=EYES, measure="correlation", verbose="ERROR"
        )
        for i in found:
            labels[i], scores[i] = "eye", max(scores[i], abs(score[i]))
    return tuple(labels), scores
