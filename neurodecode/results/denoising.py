"""What can be asked of tested denoisers: mean errors with their spread over people."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from neurodecode.results.rows import ResultRow
from neurodecode.results.summaries import interval

POSSIBLE = {
    "rrmse": (0.0, np.inf),
    "rrmse_spectrum": (0.0, np.inf),
    "correlation": (-1.0, 1.0),
    "snr_gain": (-np.inf, np.inf),
}
"""Values that each metric can have, at which intervals end."""
METRICS = tuple(POSSIBLE)
NOTHING = "do nothing"


def denoiser_table(
    rows: Sequence[ResultRow],
    windows: Mapping[str, pd.DataFrame],
    by: Sequence[str] = ("kind",),
) -> pd.DataFrame:
    """A line per net and kind of artifact, doing nothing first.

    Parameters
    ----------
    rows
        Of finished nets.
    windows
        Of each row by its key: errors of every test window, with ``_before`` for the window as it
        was; as `neurodecode.evaluation.denoisers.measure_net` returns them.
    by
        What lines are for: "kind", or "kind" and "snr".

    Returns
    -------
    pandas.DataFrame
        Columns ``model``, ``n_params``, those of `by`, ``n_people``, and for each metric its mean
        over people, ``_low`` and ``_high`` of its 95 % interval (Student's t). Windows and seeds
        are averaged within a person first. A window's error before cleaning is not a number where
        the metric compares with it.
    """
    blocks: dict[tuple[str, int], list[pd.DataFrame]] = {}
    for row in rows:
        table = windows[row.key]
        duration = row.n_times / row.sfreq
        nothing = table[["subject", "kind", "snr"]].copy()
        for name in METRICS:
            plain = table["snr_gain"] * 0.0  # nothing gained, where there was something to gain
            nothing[name] = table.get(f"{name}_before", plain)
        lengths = {r.n_times / r.sfreq for r in rows}
        words = NOTHING if len(lengths) == 1 else f"{NOTHING}, {duration:g} s"
        blocks.setdefault((words, 0), [nothing])
        blocks.setdefault((row.model, row.n_params), []).append(table)
    order = sorted(blocks, key=lambda block: not block[0].startswith(NOTHING))  # stable
    lines = []
    for name, n_params in order:
        table = pd.concat(blocks[name, n_params])
        for group, part in table.groupby(list(by), sort=False, dropna=False):
            people = part.groupby("subject")[list(METRICS)].mean()
            line: dict[str, object] = {"model": name, "n_params": n_params}
            line |= dict(zip(by, group, strict=True))
            line["n_people"] = len(people)
            for metric in METRICS:
                values = people[metric].to_numpy(dtype=float)
                line[metric] = float(values.mean())
                for end, edge in zip(("low", "high"), interval(values), strict=True):
                    line[f"{metric}_{end}"] = float(np.clip(edge, *POSSIBLE[metric]))
            lines.append(line)
    return pd.DataFrame(lines)
