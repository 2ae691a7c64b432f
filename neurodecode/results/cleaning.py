"""What cleaning does to decoding, paired by subject: as recorded, and with artifacts added."""

from typing import Any

import numpy as np
import pandas as pd

from neurodecode.core.errors import StoreError
from neurodecode.results.summaries import holm, interval, paired_test, pipelines_of, unit_scores

Scores = dict[tuple[str, str, str], "pd.Series[float]"]


def effects(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per decoder, alignment and cleaner; differences are to the same decoder uncleaned.

    Columns: model, align, clean; for data as recorded score, gain (mean paired difference), low and
    high (its 95 % interval), p (sign-flip, Holm-corrected over the column); the same with the
    prefix ``dirty_`` for contaminated data, where the uncleaned line has the difference to the data
    as recorded; and given_back, the part of that loss which the cleaner undoes (not a number where
    the loss is below one percentage point).

    Parameters
    ----------
    rows
        Of runs on the same people: as recorded, contaminated, or both.

    Raises
    ------
    StoreError
        If nothing was cleaned, or the runs cannot be compared.
    """
    plain, dirty = (_scores(rows, contaminated) for contaminated in (False, True))
    if not (plain or dirty) or all(clean == "none" for _, _, clean in {**plain, **dirty}):
        raise StoreError(
            "Nothing was cleaned in these runs. Make one: neurodecode fit --clean none,atat:own."
        )
    lines: list[dict[str, Any]] = []
    for model, align, clean in {**plain, **dirty}:
        key, bare = (model, align, clean), (model, align, "none")
        line: dict[str, Any] = {"model": model, "align": align, "clean": clean}
        if key in plain:
            line |= _compared(plain[key], plain.get(bare) if clean != "none" else None, "")
        if key in dirty:
            reference = dirty.get(bare) if clean != "none" else plain.get(bare)
            line |= _compared(dirty[key], reference, "dirty_")
        mends = clean != "none" and not clean.endswith(":removed")
        if mends and key in dirty and bare in dirty and bare in plain:
            loss = float((plain[bare] - dirty[bare]).mean())
            line["given_back"] = line["dirty_gain"] / loss if loss >= 0.01 else np.nan
        lines.append(line)
    table = pd.DataFrame(lines)
    for column in ("p", "dirty_p"):
        if column in table:
            table[column] = holm(table[column].tolist())
    return table


def _scores(rows: pd.DataFrame, contaminated: bool) -> Scores:
    mine = rows[(rows["contaminated"] != "") == contaminated]
    if mine.empty:
        return {}
    if mine["contaminated"].nunique() > 1 or mine["metric"].nunique() > 1:
        raise StoreError(
            "These runs differ in what was added, or in their metric, and cannot be put into one "
            "table. Name one run as recorded and one contaminated."
        )
    table = unit_scores(mine)
    table.index = pd.Index([str(unit).split(":", 1)[1] for unit in table.index])
    return {name: table[name] for name in pipelines_of(table)}


def _compared(
    scores: "pd.Series[float]", reference: "pd.Series[float] | None", prefix: str
) -> dict[str, float]:
    found = {"score": float(scores.mean())}
    if reference is not None:
        other = reference.reindex(scores.index)
        test = paired_test(scores, other)
        low, high = interval(np.asarray((scores - other).dropna(), dtype=np.float64))
        found |= {"gain": test.gain, "low": low, "high": high, "p": test.p}
    return {prefix + name: value for name, value in found.items()}
