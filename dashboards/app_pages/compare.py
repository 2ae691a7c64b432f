"""Is one decoder better than another on the same people?"""

import parts
import streamlit as st

from neurodecode.results.comparison import compare
from neurodecode.results.overview import has_scores, metrics_of
from neurodecode.show.figures.colours import metric_words
from neurodecode.show.figures.scores import difference_figure

COLUMNS = {
    "decoder": st.column_config.TextColumn("Decoder", width="medium"),
    "score": st.column_config.NumberColumn("Mean", format="%.3f"),
    "sd": st.column_config.NumberColumn("sd", format="%.3f", help="Over people."),
    "low": st.column_config.NumberColumn("From", format="%.3f", help="95 % interval of the mean."),
    "high": st.column_config.NumberColumn("To", format="%.3f"),
    "gain": st.column_config.NumberColumn(
        "Gain", format="%+.3f", help="Mean paired difference to the reference."
    ),
    "effect": st.column_config.NumberColumn(
        "Effect d_z", format="%+.2f", help="Gain over the standard deviation of the differences."
    ),
    "p": st.column_config.NumberColumn(
        "p (Holm)", format="%.4f", help="Exact sign-flip permutation test, two-sided, corrected."
    ),
    "n_units": st.column_config.NumberColumn("n", help="People, or folds where these hold several"),
    "n_params": st.column_config.NumberColumn("Parameters", format="localized"),
    "fit_time": st.column_config.NumberColumn("Fit (s)", format="%.2f", help="Median of a fold."),
    "predict_ms": st.column_config.NumberColumn("Window (ms)", format="%.2f"),
}

compared = parts.cached(compare)

with parts.saying():
    runs = parts.choose_runs(has_scores)
    top = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = st.selectbox("Metric", metrics_of(runs[0]), format_func=metric_words)
        names = compared(runs, metric, None).names
        word = st.selectbox("Compare with", names)
    found = compared(runs, metric, word)
    most = found.means.iloc[int(found.means["difference"].abs().argmax())]
    words = (
        f"{most['pipeline']} differs most from {word}: {most['difference']:+.3f} "
        f"{metric_words(metric)}, higher in {most['better']} of {most['n']} people"
        if most["difference"]
        else f"No decoder differs from {word} in {metric_words(metric)}"
    )
    with top:
        parts.headline(words, parts.about(runs[0]))
    figure = difference_figure(found.units, found.means, reference=word, metric=metric)
    parts.show(figure)
    st.dataframe(found.board[list(COLUMNS)], column_config=COLUMNS, hide_index=True, placeholder="")
    st.caption(
        "p says how often a difference of this size would come up if the decoders were equal; it "
        "is corrected for the number of comparisons (Holm)."
    )
