"""What do cleaners change, and do decisions ride on artifacts?"""

from typing import Any

import pandas as pd
import parts
import streamlit as st

from neurodecode.results import maps as kept
from neurodecode.results.cleaning import effects
from neurodecode.results.denoising import METRICS, denoiser_table
from neurodecode.results.store import Run, load_rows
from neurodecode.results.summaries import label
from neurodecode.show.figures import cleaning, sanity

ALL = "all decoders"
MOST = 3  # decoders that are shown together, unless one is chosen


@parts.cached
def rows_of(run: Run) -> pd.DataFrame:
    """Rows of a run."""
    return load_rows([run])


@parts.cached
def denoisers(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Errors of a run's denoisers by kind of artifact, and by its strength too."""
    rows = run.rows()
    windows = {row.key: run.read_predictions(row.key) for row in rows}
    by_kind = denoiser_table(rows, windows, ("kind",))
    return by_kind, denoiser_table(rows, windows, ("kind", "snr"))


@parts.cached
def verdicts(run: Run) -> dict[str, Any]:
    """The summary of a run's maps."""
    return kept.read_summary(run)


@parts.cached
def facts(run: Run) -> dict[str, Any]:
    """What a run says of itself."""
    return run.meta()


def is_denoise(run: Run) -> bool:
    """Whether it trained denoisers."""
    return facts(run).get("paradigm") == "denoise"


def tells(run: Run) -> bool:
    """Whether there is something to see here of a run."""
    if is_denoise(run) or kept.summary_file(run).exists():
        return True
    rows = rows_of(run)
    return not rows.empty and bool((rows["clean"] != "none").any())


def nets(run: Run) -> None:
    """Denoisers on mixtures whose clean part is known."""
    by_kind, by_ratio = denoisers(run)
    parts.show(cleaning.denoiser_errors(by_kind))
    metric = st.selectbox("Against the strength of artifacts", METRICS,
                          format_func=lambda name: cleaning.HEADS[name])  # fmt: skip
    parts.show(cleaning.denoisers_by_ratio(by_ratio, metric))


def contaminated_twin(run: Run) -> list[Run]:
    """Runs on the same data with something added, or without, to put beside this one."""
    mine = facts(run)
    same = [
        other
        for other in parts.all_runs()
        if other.id != run.id
        and all(facts(other).get(k) == mine.get(k) for k in ("paradigm", "dataset", "protocol"))
        and bool(facts(other).get("contaminated")) != bool(mine.get("contaminated"))
    ]
    if not same:
        return [run]
    names = {other.id: other for other in reversed(same)}
    word = "As recorded" if mine.get("contaminated") else "Contaminated"
    chosen = st.selectbox(f"{word}, to put beside it", ["none", *names])
    return [run] if chosen == "none" else [run, names[chosen]]


def cleaners(run: Run) -> None:
    """What each cleaner changes in the score of each decoder."""
    if (rows_of(run)["clean"] == "none").all():
        st.info("Nothing was cleaned in this run: `neurodecode fit --clean none,atat:own`.")
        return
    runs = contaminated_twin(run)
    rows = pd.concat([rows_of(one) for one in runs], ignore_index=True)
    parts.show(cleaning.cleaning_gains(effects(rows)))


def reliance(run: Run) -> None:
    """What is lost without parts of the signal where artifacts live."""
    st.subheader("How much of a decision rides on artifacts")
    if not kept.summary_file(run).exists():
        st.info(f"This run has not been explained: `neurodecode explain {run.id}`.")
        return
    summary = verdicts(run)
    entries = summary.get("reliance", [])
    if not entries:
        st.info("Nothing was asked of these decoders.")
        return
    pipelines = list(dict.fromkeys((e["model"], e["align"], e["clean"]) for e in entries))
    choices = [None, *pipelines] if len(pipelines) <= MOST else [*pipelines, None]
    chosen = st.selectbox("Decoder", choices,
                          format_func=lambda p: ALL if p is None else label(p))  # fmt: skip
    parts.show(sanity.reliance(summary, chosen))


with parts.saying():
    run = parts.choose_run(
        tells,
        without="In no run was anything cleaned or explained.",
        command="neurodecode fit --paradigm mi --clean none,atat:own",
    )
    parts.headline("What cleaners change, and what rides on artifacts", parts.about(run))
    if is_denoise(run):
        nets(run)
    else:
        cleaners(run)
        reliance(run)
