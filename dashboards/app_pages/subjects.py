"""Whom can the decoders decode?"""

import parts
import streamlit as st

from neurodecode.results.comparison import names_of
from neurodecode.results.overview import has_scores, metrics_of, read_scores
from neurodecode.results.subjects import scores_of_people
from neurodecode.results.summaries import chance
from neurodecode.show.figures.colours import metric_words
from neurodecode.show.figures.scores import subject_figure

MOST = 3  # decoders that are shown at first

rows_of, metrics = parts.cached(read_scores), parts.cached(metrics_of)
people_of = parts.cached(scores_of_people)

with parts.saying():
    run = parts.choose_run(has_scores)
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.selectbox("Metric", metrics(run), format_func=metric_words)
        rows = rows_of(run, metric)
        names = names_of(rows)
        chosen = st.multiselect("Decoders", names, default=names[:MOST], placeholder="Decoders")
    if not chosen:
        st.info("Choose a decoder.")
        st.stop()
    units, sessions = people_of(run, metric, tuple(chosen))
    level, _ = chance(rows)
    by_unit = units.groupby("unit")["score"].mean()
    what = "fold" if (rows["subject"] == "*").any() else "person"
    with top:
        parts.headline(
            f"{metric_words(metric).capitalize()} from {by_unit.min():.2f} ({what} "
            f"{by_unit.idxmin()}) to {by_unit.max():.2f} ({what} {by_unit.idxmax()})",
            parts.about(run),
        )
    parts.show(subject_figure(units, metric=metric, chance=level, what=what))
    if not sessions.empty:
        figure = subject_figure(sessions, metric="balanced_accuracy", chance=level, what="session")
        parts.show(figure)
    wide = units.pivot_table(index="unit", columns="pipeline", values="score", sort=False)
    st.dataframe(wide.reset_index().rename(columns={"unit": what.capitalize()}), hide_index=True,
                 column_config={name: st.column_config.NumberColumn(format="%.3f")
                                for name in wide.columns})  # fmt: skip
