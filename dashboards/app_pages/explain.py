"""What does a decoder read, and is the map of it to be believed?"""

from collections.abc import Callable
from functools import partial
from typing import Any

import parts
import streamlit as st

from neurodecode.results import maps as kept
from neurodecode.results.maps import FoldMaps
from neurodecode.results.store import Run
from neurodecode.results.summaries import label
from neurodecode.show.figures import maps, sanity
from neurodecode.show.figures.figure import Figure

BANNERS = {
    "holds": (st.success, ":material/verified:"),
    "fails": (st.error, ":material/dangerous:"),
    "unchecked": (st.warning, ":material/question_mark:"),
}
ALL = "all, mean"
WHERE = {
    "chan": "over electrodes",
    "time": "in time",
    "freq": "in frequency",
    "chan_time": "over electrodes and time",
    "chan_freq": "over electrodes and frequency",
}
Folds = list[FoldMaps]


@parts.cached
def read(run: Run) -> tuple[Folds, Folds, dict[str, Any]]:
    """Maps of the folds and of the recordings themselves, and the verdicts."""
    summary = kept.read_summary(run)
    return kept.read_all_maps(run), kept.read_data_maps(run), summary


def by_number(subject: str) -> tuple[bool, float, str]:
    """Order of subjects: 2 before 10."""
    return not subject.isdigit(), float(subject) if subject.isdigit() else 0.0, subject


def mark_of(method: str) -> str:
    """A method with the symbol of its verdict."""
    verdict = kept.verdict_of(summary, pipeline, method)
    mark = sanity.MARKS.get(verdict["verdict"] if verdict else "unchecked", "?")
    return f"{mark} {maps.method_words(method)}"


def beside(makers: dict[str, Callable[..., Figure]]) -> None:
    """Each kind of map of the decoder, beside it that of the recordings themselves.

    What only one of them has comes last, two in a line, so that nothing leaves a hole.
    """
    shown, alone = list[Figure](), list[Figure]()
    for kind, make in makers.items():
        found = []
        if kind in kinds:
            found.append(make(own, method, as_shares=as_shares, verdict=verdict))
        if kind in data_kinds:
            found.append(make(recordings, "erds", as_shares=False))
        (shown if len(found) > 1 else alone).extend(found)
    in_pairs([*shown, *alone])
    for known, whose in ((kinds, f"by {maps.method_words(method)}"),
                         (data_kinds, "of the recordings themselves")):  # fmt: skip
        missing = [WHERE[kind] for kind in makers if kind not in known]
        if missing:
            st.caption(f"There is no map {' or '.join(missing)} {whose}.")


def in_pairs(figures: list[Figure]) -> None:
    """Two in a line; the last takes the whole of it where their number is odd."""
    for i in range(0, len(figures), 2):
        line = figures[i : i + 2]
        for column, figure in zip(st.columns(len(line), gap="medium"), line, strict=True):
            with column:
                parts.show(figure)


def axes() -> None:
    """Over the head, in time and in frequency."""
    in_frequency = partial(maps.freq_profile, truth=kept.truth_bands(summary))
    beside({"chan": maps.class_maps, "freq": in_frequency, "time": maps.time_profile})


def two_axes() -> None:
    """Heatmaps, and matrices of attention."""
    for kind in ("chan_chan", "time_time"):
        if kind in kinds:
            parts.show(maps.heatmaps(own, method, kind, as_shares=as_shares, verdict=verdict))
    if not any("_" in kind for kind in kinds):
        st.info(f"There is no map over two axes by {maps.method_words(method)}.")
    elif {"chan_freq", "chan_time"} & set(kinds):
        beside({k: partial(maps.heatmaps, kind=k) for k in ("chan_freq", "chan_time")})


def patterns() -> None:
    """Of one fold, for their sign and order mean nothing."""
    one = next((fold for fold in own if fold.get(method, "patterns") is not None), None)
    if one is None:
        st.info("Patterns are those of linear decoders: choose CSP patterns of csp_lda.")
    else:
        parts.show(maps.pattern_maps(one, method, verdict=verdict))


def subjects() -> None:
    """One class, a map for each subject."""
    if "chan" not in kinds:
        st.caption("This method has no map over electrodes.")
        return
    names = own[0].facts["classes"]
    name = st.radio("Class", names, format_func=maps.words, horizontal=True)
    everyone = kept.choose_folds(folds, pipeline)
    how: dict[str, Any] = {"as_shares": as_shares, "verdict": verdict}
    parts.show(maps.subject_maps(everyone, method, name, **how))


def checks() -> None:
    """What the verdicts rest on."""
    parts.show(sanity.verdicts(summary, pipeline))
    if any(e["method"] == method for e in kept.of_pipeline(summary, "curves", pipeline)):
        parts.show(sanity.curves(summary, pipeline, method))
    has_cascade = bool(kept.of_pipeline(summary, "cascade", pipeline))
    cascade = [sanity.cascade(summary, pipeline)] if has_cascade else []
    in_pairs([*cascade, sanity.agreement(summary, pipeline)])


def artifacts() -> None:
    """How much of a decision rides on them."""
    if kept.of_pipeline(summary, "reliance", pipeline):
        parts.show(sanity.reliance(summary, pipeline))
    else:
        st.info("How much of a decision rides on artifacts was not asked of this decoder.")


TABS = {
    "Head, time, frequency": axes,
    "Two axes at once": two_axes,
    "Patterns": patterns,
    "Subjects": subjects,
    "Sanity checks": checks,
    "Artifacts": artifacts,
}

with parts.saying():
    run = parts.choose_run(
        lambda run: kept.summary_file(run).exists(),
        without="No run has been explained yet.",
        command="neurodecode explain RUN",
    )
    folds, data, summary = read(run)
    if not folds:
        parts.nothing(f"No map of {run.id} can be read.", f"neurodecode explain {run.id} --again")
    parts.headline("What the decoders read, and whether to believe it", parts.about(run))

    first, second, third, fourth = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    pipelines = list(dict.fromkeys(fold.pipeline for fold in folds))
    pipeline = first.selectbox("Decoder", pipelines, format_func=label)
    own = kept.choose_folds(folds, pipeline)
    method = second.selectbox("Method", kept.methods_of(own), format_func=mark_of)
    names = sorted({fold.facts["subject"] for fold in own}, key=by_number)
    subject = third.selectbox("Subject", [ALL, *names])
    signed = bool(method and kept.methods_of(own)[method]["signed"])
    scale = fourth.segmented_control(
        "Scale", ["share", "value"], required=True, key=f"scale-{signed}",
        default="value" if signed else "share",  # a share has no sign
        help="Share: percent of a map's magnitude, alike in all methods. Value: in its own unit.",
    )  # fmt: skip
    as_shares = scale == "share"
    one = None if subject == ALL else subject
    own = kept.choose_folds(own, pipeline, one)
    if method is None or not any(method in fold.facts["methods"] for fold in own):
        st.info("There is no map of this method here: choose another method or subject.")
        st.stop()
    recordings = [fold for fold in data if one in (None, fold.facts["subject"])]
    kinds, data_kinds = kept.kinds_of(own, method), kept.kinds_of(recordings, "erds")

    verdict = kept.verdict_of(summary, pipeline, method)
    kind, text = sanity.verdict_words(verdict)
    banner, icon = BANNERS.get(kind, BANNERS["unchecked"])
    truth = kept.truth_words(verdict.get("truth") if verdict else None)
    banner(f"{parts.plain(text)}  \n{parts.plain(truth)}", icon=icon)

    tabs = st.tabs(list(TABS), on_change="rerun", key="explain-tabs")
    for tab, draw in zip(tabs, TABS.values(), strict=True):
        if tab.open:
            with tab:
                draw()
