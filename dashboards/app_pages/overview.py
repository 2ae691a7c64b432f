"""Which runs are there, and which decoder is best on which data?"""

from typing import Any

import pandas as pd
import parts
import streamlit as st

from neurodecode.results.overview import Survey, name_groups, survey
from neurodecode.results.store import Run
from neurodecode.show.figures.colours import metric_words
from neurodecode.show.figures.scores import board_figure

COLUMNS: dict[str, Any] = {
    "run": st.column_config.TextColumn("Run", width=250),
    "marks": st.column_config.TextColumn("Mark", width=88),
    "fits": st.column_config.TextColumn("Finished", width=86),
    "best": st.column_config.TextColumn("Best decoder", width=170),
    "score": st.column_config.NumberColumn("Its mean", format="%.3f", width=66),
    "metric": st.column_config.TextColumn("Metric", width=120),
    "when": st.column_config.DatetimeColumn("Changed", format="distance", width=104),
    "kind": st.column_config.TextColumn("Of", width=90),
    "dataset": "Data set",
    "protocol": "Protocol",
}
FILTERS = {"paradigm": "Paradigm", "dataset": "Data set", "protocol": "Protocol"}
MOST = 20  # runs whose scores are drawn at once

surveyed = parts.cached(survey)


def boards(surveys: dict[Run, Survey], metric: str) -> pd.DataFrame:
    """Scores of runs in a metric, newest first; those of each run's own are known already."""
    found = []
    for run, about in reversed(surveys.items()):
        own = about.board if about.metrics[:1] == (metric,) else surveyed(run, metric).board
        if own is not None:
            found.append(own)
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


with parts.saying():
    found = parts.found()
    if not found.runs and not found.broken:
        parts.nothing(f"There is no run in {parts.runs_folder()}.", "neurodecode dashboard --demo")
    surveys = {run: surveyed(run) for run in found.runs}
    lines = [about.line for about in reversed(surveys.values())]
    table = pd.DataFrame(lines)
    decoding = {run: about for run, about in surveys.items() if about.board is not None}

    simulated = sum("SIMULATED" in line["marks"] for line in lines)
    parts.headline(
        f"{len(lines)} {'run' if len(lines) == 1 else 'runs'}"
        + (f", {simulated} of them on SIMULATED recordings" if simulated else ""),
        str(parts.runs_folder()),
    )
    if found.broken:
        reasons = [f"- {parts.plain(f'{name}: {reason}')}" for name, reason in found.broken.items()]
        words = "One folder is" if len(reasons) == 1 else f"{len(reasons)} folders are"
        st.warning("\n".join([f"{words} not shown:", *reasons]), icon=":material/warning:")

    if decoding:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            metrics = list(dict.fromkeys(m for about in decoding.values() for m in about.metrics))
            metric = st.selectbox("Metric", metrics, format_func=metric_words)
            for name, words in FILTERS.items():
                values = sorted({about.line[name] for about in decoding.values()})
                value = st.selectbox(words, ["all", *values])
                if value != "all":
                    decoding = {r: s for r, s in decoding.items() if s.line[name] == value}
        newest = dict(list(decoding.items())[-MOST:])
        shown = boards(newest, metric)
        if shown.empty:
            st.info("No run fits these choices.")
        else:
            parts.show(board_figure(name_groups(shown)))
            if len(newest) < len(decoding):
                st.caption(
                    f"The newest {MOST} of {len(decoding)} runs; choose to see earlier ones."
                )

    if lines:
        st.subheader("All runs")
        table["fits"] = [
            f"{line['finished']} of {line['planned']}" if line["planned"] else f"{line['finished']}"
            for line in lines
        ]
        table["metric"] = [metric_words(word) for word in table["metric"]]
        st.dataframe(table[list(COLUMNS)], column_config=COLUMNS, hide_index=True, placeholder="")
