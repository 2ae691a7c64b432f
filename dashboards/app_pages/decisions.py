"""Which windows are decided wrongly, and does the decoder know?"""

from typing import Any

import pandas as pd
import parts
import streamlit as st

from neurodecode.results.comparison import find_pipeline, names_of
from neurodecode.results.decisions import (
    calibration_error,
    classes_of,
    confusion,
    read_decisions,
    reliability,
    rows_of,
)
from neurodecode.results.overview import has_scores, read_scores
from neurodecode.results.store import Run
from neurodecode.show.figures.decisions import confusion_figure, reliability_figure, trial_figure

SHOWN = ["subject", "session", "run", "onset", "time", "y_true", "y_pred", "right", "confidence"]
COLUMNS: dict[str, Any] = {
    "subject": "Person",
    "session": "Session",
    "run": "Run",
    "onset": st.column_config.NumberColumn("Onset (s)", format="%.2f", help="In its recording."),
    "time": st.column_config.NumberColumn("Time (s)", format="%.2f", help="In its recording."),
    "y_true": "Was",
    "y_pred": "Decided",
    "right": st.column_config.CheckboxColumn("Right"),
    "confidence": st.column_config.ProgressColumn(
        "Its probability", format="%.2f", min_value=0, max_value=1
    ),
}


@st.cache_resource(max_entries=1, show_spinner="Reading the recordings")
def recordings(path: str, data: str) -> Any:
    """Windows of a run, neither aligned nor cleaned; `data` is their fingerprint."""
    from neurodecode.experiment.source import Source  # here: it takes seconds to import

    return Source(Run(parts.runs_folder() / path), lambda words, done, total: None).epochs


def decided(run: Run, pipeline: tuple[str, str, str]) -> pd.DataFrame:
    """Decisions of a pipeline on all folds."""
    return read_decisions(run, rows_of(run.rows(), pipeline))


scores_of, decided_by = parts.cached(read_scores), parts.cached(decided)

with parts.saying():
    run = parts.choose_run(has_scores)
    rows = scores_of(run)
    decoder = st.sidebar.selectbox("Decoder", names_of(rows))
    decisions = decided_by(run, find_pipeline(rows, decoder))
    classes = classes_of(decisions)
    table, bins = confusion(decisions), reliability(decisions)
    wrong = table[table["y_true"] != table["y_pred"]].sort_values("share", ascending=False)
    worst = wrong.iloc[0]
    parts.headline(
        f"{decoder} is right in {decisions['right'].mean():.0%} of {len(decisions):,} decisions, "
        f"and takes {worst['y_true']} for {worst['y_pred']} most ({worst['share']:.0%})",
        parts.about(run),
    )
    left, right = st.columns(2, gap="large")
    with left:
        parts.show(confusion_figure(table, decoder=decoder))
    with right:
        error = calibration_error(bins)
        parts.show(reliability_figure(bins, decoder=decoder, error=error, least=1 / len(classes)))

    st.subheader("Every decision", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        person = st.selectbox("Person", ["all", *decisions["subject"].astype(str).unique()])
        was = st.selectbox("Was", ["all", *classes])
        only_wrong = st.toggle("Wrong ones only", value=True)
    shown = decisions[~decisions["right"]] if only_wrong else decisions
    shown = shown if person == "all" else shown[shown["subject"].astype(str) == person]
    shown = shown if was == "all" else shown[shown["y_true"] == was]
    shown = shown.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
    chosen = st.dataframe(
        shown[[name for name in SHOWN if name in shown]],
        column_config=COLUMNS,
        hide_index=True,
        height=260,
        on_select="rerun",
        selection_mode="single-row",
        key=f"decisions-{run.id}-{decoder}-{person}-{was}-{only_wrong}",
    )
    st.caption(f"{len(shown):,} decisions, the surest first. Choose one to see its signal.")

    picked = chosen["selection"]["rows"]
    if "trial" not in shown:
        st.info("These are moments of a recording that was played, not single windows.")
    elif picked and picked[0] < len(shown):
        line = shown.iloc[picked[0]]
        if st.session_state.get("read") != run.id and st.button("Read the recordings"):
            st.session_state["read"] = run.id
        if st.session_state.get("read") == run.id:
            epochs = recordings(run.id, str(run.meta().get("data")))
            title = (
                f"Person {line['subject']}, {line['onset']:.1f} s: was {line['y_true']}, decided "
                f"{line['y_pred']} ({line['confidence']:.0%})"
            )
            parts.show(
                trial_figure(
                    epochs.x[int(line["trial"])],
                    ch_names=epochs.ch_names,
                    sfreq=epochs.sfreq,
                    title=title,
                )
            )
