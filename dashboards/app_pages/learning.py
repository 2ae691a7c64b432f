"""How did the nets learn, and from how much?"""

import pandas as pd
import parts
import streamlit as st

from neurodecode.results.learning import (
    bands_of,
    best_epochs,
    curves_of,
    pretraining_curves,
    scores_by_size,
)
from neurodecode.results.overview import kind_of
from neurodecode.results.store import Run, load_rows
from neurodecode.show.figures.learning import curve_figure, size_figure


def curves(run: Run) -> pd.DataFrame:
    """Training histories of a run of any kind."""
    if kind_of(run.meta()) == "pretraining":
        return pretraining_curves(run)
    return curves_of(run.rows())


def alike(run: Run) -> list[Run]:
    """Runs of the same question on the same data."""
    own = [run.meta().get(name) for name in ("paradigm", "dataset", "protocol")]
    return [
        other
        for other in parts.all_runs()
        if [other.meta().get(name) for name in ("paradigm", "dataset", "protocol")] == own
        and kind_of(other.meta()) == "decoders"
    ]


def sizes_of(runs: list[Run]) -> pd.DataFrame:
    """Scores against training windows over several runs."""
    rows = load_rows(runs)
    return rows if rows.empty else scores_by_size(rows)


learned, sizes_by_run = parts.cached(curves), parts.cached(sizes_of)

with parts.saying():
    run = parts.choose_run(lambda run: kind_of(run.meta()) != "calibration")
    kind = kind_of(run.meta())
    found = learned(run)
    names = list(found["pipeline"].unique())
    if names:
        chosen = st.sidebar.multiselect("Decoders", names, default=names[:4])
        found = found[found["pipeline"].isin(chosen)]
    step = "step" if kind == "pretraining" else "epoch"
    bands, best = bands_of(found), best_epochs(found)
    if found.empty:
        parts.headline("Nothing here was learned in steps", parts.about(run))
        st.info("Decoders without gradients have no learning curve; nets do.")
    else:
        last = int(found["epoch"].max())
        words = f"Learning over {last:,} {step}s"
        if not best.empty:
            words += f": fits kept the weights of {step} {best['best_epoch'].median():g} (median)"
        parts.headline(words, parts.about(run))
        columns = st.columns(2, gap="large")
        known = set(bands["curve"])
        with columns[0]:
            unit = "nat" if kind == "decoders" else ""
            if known & {"train_loss", "val_loss"}:
                parts.show(curve_figure(bands, best, quantity="loss", unit=unit, step=step))
        with columns[1]:
            if "val_accuracy" in known:
                parts.show(curve_figure(bands, best, quantity="accuracy", step=step))
    if kind == "decoders":
        sizes = sizes_by_run(alike(run))
        if not sizes.empty:
            own = sizes[sizes["metric"] == sizes["metric"].iloc[-1]]
            parts.show(size_figure(own))
        else:
            st.caption(
                "Runs on this data that learned from fewer or more windows would be drawn here, "
                "score against size."
            )
