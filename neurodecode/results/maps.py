"""Maps of a run, one file per fold, and what can be asked of them.

``runs/<id>/explain/<key>.safetensors`` holds the maps of the fold `key`: a tensor for each method
and kind, named "METHOD/KIND", (n_classes, ...); its metadata says what the axes are, what each
method's values mean, and how the maps fared in their checks. ``explain/summary.json`` holds the
verdict on each method and decoder over all folds.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy import stats

from neurodecode.core.errors import StoreError
from neurodecode.results.store import Run, plain, writing

logger = logging.getLogger(__name__)

MAPS = "neurodecode.maps"
AXES = {"chan": "ch_names", "time": "times", "freq": "freqs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMaps:
    """All maps of one fold.

    Attributes
    ----------
    facts
        What the file's metadata says: key, model, align, clean, fold, subject, session, seed,
        score, classes, ch_names, positions (n_chans, 3; m, or null), times (s), freqs (Hz), code
        (digest of what made it), methods (name to unit, signed, facts, seconds) and checks (name
        of the method to the numbers of each check).
    tensors
        By "METHOD/KIND".
    """

    facts: dict[str, Any]
    tensors: dict[str, NDArray[np.float32]]

    @property
    def pipeline(self) -> tuple[str, str, str]:
        """(model, align, clean)."""
        return self.facts["model"], self.facts["align"], self.facts["clean"]

    @property
    def unit(self) -> str:
        """What counts once in a mean: the test subject, or the fold where that has several."""
        subject, fold = self.facts["subject"], self.facts["fold"]
        return str(subject if subject != "*" else fold)

    def get(self, method: str, kind: str) -> NDArray[np.float32] | None:
        """A map, (n_classes, ...); None where the fold has none."""
        return self.tensors.get(f"{method}/{kind}")


def maps_file(run: Run, key: str) -> Path:
    """Where the maps of a fold are, or will be."""
    return run.path / "explain" / f"{key}.safetensors"


def write_maps(run: Run, maps: FoldMaps) -> None:
    """Keep the maps of a fold.

    Raises
    ------
    StoreError
        If the file system refuses: no permission, no space.
    """
    tensors = {k: np.ascontiguousarray(v, dtype=np.float32) for k, v in maps.tensors.items()}
    with writing(maps_file(run, maps.facts["key"])) as file:
        try:
            save_file(tensors, file, metadata={MAPS: json.dumps(plain(maps.facts))})
        except SafetensorError as error:  # also of a full disk
            raise OSError(str(error)) from error


def read_maps(run: Run, key: str) -> FoldMaps | None:
    """The maps of a fold; None if there are none, or the file cannot be read, which is said."""
    path = maps_file(run, key)
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads(file.metadata()[MAPS])
            return FoldMaps(facts=facts, tensors={k: file.get_tensor(k) for k in file.keys()})  # noqa: SIM118  # not a dict
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        logger.warning("%s cannot be read (%s); that fold will be explained again", path, error)
        return None


def read_all_maps(run: Run) -> list[FoldMaps]:
    """The maps of every explained fold, in the order of the run's plan."""
    found = [read_maps(run, key) for key in run.meta().get("folds", [])]
    return [maps for maps in found if maps is not None]


def data_file(run: Run, subject: str) -> Path:
    """Where the maps of a subject's recordings themselves are, or will be."""
    return maps_file(run, f"data-{subject}")


def read_data_maps(run: Run) -> list[FoldMaps]:
    """Maps of the recordings themselves, one for each subject: no decoder is in them."""
    keys = sorted(path.stem for path in (run.path / "explain").glob("data-*.safetensors"))
    found = [read_maps(run, key) for key in keys]
    return [maps for maps in found if maps is not None]


SUMMARY = "explain/summary.json"


def summary_file(run: Run) -> Path:
    """Where the verdicts are, or will be."""
    return run.path / SUMMARY


def read_summary(run: Run) -> dict[str, Any]:
    """Verdicts of a run.

    Raises
    ------
    StoreError
        If the run has not been explained, or the file cannot be read.
    """
    return run.read_document(SUMMARY, command=f"neurodecode explain {run.id}", part="methods")


def shares(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Share of each place in the magnitude of each class's map, same shape.

    They sum to 1 over all axes but the first; a map that is zero throughout stays so.
    """
    size = np.abs(np.asarray(values, dtype=np.float64))
    total = size.sum(axis=tuple(range(1, size.ndim)), keepdims=True)
    return np.asarray(size / np.where(total > 0, total, 1))


def mean_share(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean of `shares` over the classes that have a map: (n_classes, n) to (n,)."""
    own = shares(np.nan_to_num(values))
    known = own.any(axis=1)
    return np.asarray(own[known].mean(axis=0) if known.any() else own[0])


def mean_maps(
    folds: Sequence[FoldMaps], method: str, kind: str, *, as_shares: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Mean of a map over folds, its standard deviation over them, and how many have it.

    Folds of one subject (several seeds or sessions) are averaged first, so that a subject with
    more of them counts once.

    Returns
    -------
    mean, sd
        (n_classes, ...) each; `sd` is NaN where there is a single subject.
    n
        Subjects, or folds where these hold several.
    """
    own: dict[str, list[NDArray[np.float64]]] = {}
    for fold in folds:
        values = fold.get(method, kind)
        if values is not None:
            own.setdefault(fold.unit, []).append(
                shares(values) if as_shares else np.asarray(values, dtype=np.float64)
            )
    if not own:
        raise StoreError(f"No fold has a map '{kind}' by {method}.")
    units = np.stack([mean_of_known(np.stack(several)) for several in own.values()])
    n = len(units)
    mean = mean_of_known(units)
    known = np.isfinite(units).sum(axis=0)
    spread = np.sqrt(np.nansum((units - mean) ** 2, axis=0) / np.where(known > 1, known - 1, 1))
    return mean, np.where(known > 1, spread, np.nan), n


def mean_of_known(values: NDArray[np.floating], axis: int = 0) -> NDArray[np.float64]:
    """Mean along an axis of what is a number; not a number where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis, dtype=np.float64)
    return np.asarray(np.where(n > 0, total / np.maximum(n, 1), np.nan))


def methods_of(folds: Iterable[FoldMaps]) -> dict[str, dict[str, Any]]:
    """Every method that some of these folds have, with what its values mean."""
    found: dict[str, dict[str, Any]] = {}
    for fold in folds:
        for name, about in fold.facts["methods"].items():
            found.setdefault(name, about)
    return found


def kinds_of(folds: Iterable[FoldMaps], method: str) -> list[str]:
    """Kinds of map that a method has in these folds."""
    found = dict.fromkeys(
        name.partition("/")[2]
        for fold in folds
        for name in fold.tensors
        if name.startswith(f"{method}/")
    )
    return list(found)


def choose_folds(
    folds: Iterable[FoldMaps], pipeline: tuple[str, str, str], subject: str | None = None
) -> list[FoldMaps]:
    """Folds of one decoder, alignment and cleaner; of one test subject if one is named."""
    return [
        fold
        for fold in folds
        if fold.pipeline == pipeline and subject in (None, fold.facts["subject"])
    ]


def map_table(
    folds: Sequence[FoldMaps], method: str, kind: str, *, as_shares: bool = False
) -> pd.DataFrame:
    """A map in long form, a line for each place and class, mean over subjects.

    Columns: class, a column for each axis of the kind ("chan", "time" in s, "freq" in Hz; the
    second of two alike is "other_chan", "other_time"), mean, sd (over subjects), low and high (95 %
    Student's t interval of the mean) and n (subjects).

    Raises
    ------
    StoreError
        If no fold has it.
    """
    mean, sd, n = mean_maps(folds, method, kind, as_shares=as_shares)
    first = next(fold.facts for fold in folds if fold.get(method, kind) is not None)
    words = kind.split("_")
    names = [f"other_{w}" if w in words[:i] else w for i, w in enumerate(words)]
    places = [first["classes"], *(first[AXES[word]] for word in words)]
    index = pd.MultiIndex.from_product(places, names=["class", *names])
    table = pd.DataFrame({"mean": mean.ravel(), "sd": sd.ravel()}, index=index).reset_index()
    half = stats.t.ppf(0.975, n - 1) / np.sqrt(n) if n > 1 else np.nan
    table["low"] = table["mean"] - half * table["sd"]
    table["high"] = table["mean"] + half * table["sd"]
    return table.assign(n=n)


def verdict_of(
    summary: Mapping[str, Any], pipeline: tuple[str, str, str], method: str
) -> dict[str, Any] | None:
    """What the summary says of a method and decoder; None if it says nothing."""
    return next(
        (entry for entry in of_pipeline(summary, "methods", pipeline) if entry["method"] == method),
        None,
    )


def of_pipeline(
    summary: Mapping[str, Any], part: str, pipeline: tuple[str, str, str] | None
) -> list[dict[str, Any]]:
    """Entries of a part of the summary ("methods", "curves", ...); of one decoder, or of all."""
    return [
        entry
        for entry in summary.get(part, [])
        if pipeline in (None, (entry["model"], entry["align"], entry["clean"]))
    ]


def truth_bands(summary: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Bands, (low, high) Hz, in which simulated people differ between classes; else none."""
    return [(float(low), float(high)) for low, high in summary.get("truth_bands") or []]


def truth_words(truth: Mapping[str, Any] | None) -> str:
    """How maps of simulated recordings fared against what was put in, in words; "" if unknown."""
    if not truth or not truth.get("n"):
        return ""
    n = int(truth["n"])
    words = []
    if truth.get("chan_hits") is not None:
        mass = _against(truth, "chan")
        words.append(
            f"largest within one electrode of a true source in {round(n * truth['chan_hits'])} "
            f"of {n} people{mass}"
        )
    if truth.get("band_hits") is not None:
        mass = _against(truth, "band")
        words.append(f"and in a true band in {round(n * truth['band_hits'])} of {n}{mass}")
    return f"Simulated, so the truth is known: {', '.join(words)}." if words else ""


def _against(truth: Mapping[str, Any], what: str) -> str:
    """What part of the map lies there, and of a flat one; "" if unknown."""
    mass, expected = truth.get(f"{what}_mass"), truth.get(f"{what}_expected")
    if mass is None or expected is None:
        return ""
    return f" ({100 * mass:.0f} % of the map is there, {100 * expected:.0f} % of a flat one)"
