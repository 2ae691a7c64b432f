"""What does the loop that runs just now decide, how surely, and how late?"""

import math

import parts
import streamlit as st

from neurodecode.online.viewer import View, Viewer
from neurodecode.show.figures import live

SECONDS = 30.0
EVERY = 0.5  # s between two looks
QUIET = 3.0  # s without a decision after which it is said


@st.cache_resource(max_entries=4, show_spinner=False, on_release=Viewer.close)
def viewer(session: str, network: bool) -> Viewer:
    """The one viewer of this server for a session; it ends by itself when nobody looks."""
    return Viewer(session=session, network=network)


def how_to_start(session: str) -> None:
    """How a loop is started."""
    word = "" if session == "default" else f" --session-id {session}"
    st.markdown("A loop is started in two terminals; this page only listens.")
    st.code(
        "neurodecode fit --paradigm mi --online-ready    # once\n"
        f"neurodecode replay --dataset synthetic{word}    # a stream; or your amplifier's\n"
        f"neurodecode online{word}    # the loop, with the newest such run",
        language="bash",
    )


def head(view: View) -> None:
    """Who decides, and how its decisions fare."""
    stream, counts = view.stream, view.counts()
    more = f" {view.n_streams} loops run here; this is the newest." if view.n_streams > 1 else ""
    st.markdown(f"**{stream['model']}** on {stream['host']}, {len(view.rows)} decisions.{more}")
    latency = view.table(SECONDS)["latency_ms"].dropna()
    columns = st.columns(6)
    shown: dict[str, int | str] = {
        "Valid": counts["ok"] + counts["abstain"],
        "Stale": counts["stale"],
        "After a gap": counts["gap"],
        "Bad channels": counts["bad-channels"],
        "Not heard": counts["lost"],
        "Median latency": f"{latency.median():.1f} ms" if len(latency) else "-",
    }
    for column, (name, value) in zip(columns, shown.items(), strict=True):
        column.metric(name, value)


@st.fragment(run_every=EVERY)
def watch(session: str, network: bool) -> None:
    """Look, and draw what is there."""
    view = viewer(session, network).ask()
    if view.problem:
        st.error(view.problem, icon=":material/error:")
        return
    if not view.stream:
        where = "on the network" if network else "on this machine"
        st.info(f"No loop decides in session '{session}' {where}. Looking for one.",
                icon=":material/sensors_off:")  # fmt: skip
        how_to_start(session)
        return
    if not view.running:
        st.warning("The loop has ended; what it decided last is below. Looking for another.",
                   icon=":material/sensors_off:")  # fmt: skip
    elif view.silence > QUIET:
        since = f"for {view.silence:.0f} s" if math.isfinite(view.silence) else "so far"
        st.warning(f"The loop is there and has decided nothing {since}.",
                   icon=":material/hourglass_empty:")  # fmt: skip
    head(view)
    table = view.table(SECONDS)
    if table.empty:
        return
    parts.show(live.probabilities(table, view.classes, SECONDS))
    left, right = st.columns(2, gap="medium")
    with left:
        parts.show(live.statuses(table, SECONDS))
    with right:
        if table["latency_ms"].notna().any():
            parts.show(live.latencies(table))


with parts.saying():
    parts.headline("What a running loop decides", "It is only watched: nothing goes back to it.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        session = st.text_input("Session id", "default", max_chars=64, width=220).strip()
        network = st.toggle("Look beyond this machine")
        watching = st.toggle("Watch", key="watch-live")
    if watching:
        watch(session or "default", network)
    else:
        st.caption("Switch on Watch to listen for decisions.")
        how_to_start(session or "default")
