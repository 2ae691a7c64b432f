"""What pages share: the folder of runs, the choice of one, and how a figure is shown."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import streamlit as st

from neurodecode.core.errors import NeurodecodeError
from neurodecode.results.overview import Found, find_all, marks_of
from neurodecode.results.store import Run
from neurodecode.show.figures.figure import Figure

Answer = TypeVar("Answer")
LONGEST = 29
"""Characters of a run's name that the sidebar has room for."""


def runs_folder() -> Path:
    """The folder that the dashboard was opened on; nothing outside it is ever read."""
    return Path(os.environ.get("NEURODECODE_RUNS", "runs"))


def found() -> Found:
    """Every folder of runs, and why some of them cannot be shown."""
    return find_all(runs_folder())


def all_runs() -> list[Run]:
    """Runs that can be read, newest last."""
    return found().runs


def choose_run(
    need: Callable[[Run], bool] | None = None,
    *,
    without: str = "There is no run to show here yet.",
    command: str = "neurodecode fit --paradigm mi",
) -> Run:
    """The run that is chosen in the sidebar; kept in the address and from page to page.

    Parameters
    ----------
    need
        Only runs of which it is true can be chosen.
    without, command
        What is said, and what would make one, where there is none.
    """
    names = [run.id for run in reversed(all_runs()) if need is None or need(run)]
    if not names:
        nothing(without, command)
    # The address names the run when a session begins; afterwards what was chosen last does.
    asked = st.session_state.get("run") or st.session_state.get("kept_run")
    asked = asked or st.query_params.get("run")
    st.session_state["run"] = asked if asked in names else names[0]
    name = st.sidebar.selectbox("Run", names, key="run", format_func=in_short)
    st.session_state["kept_run"] = name
    if st.query_params.get("run") != name:
        st.query_params["run"] = name
    return Run(runs_folder() / name)  # a name of the list, never a path


def choose_runs(
    need: Callable[[Run], bool] | None = None,
    *,
    without: str = "There is no run to show here yet.",
    command: str = "neurodecode fit --paradigm mi",
) -> list[Run]:
    """The run that is chosen in the sidebar, and others to put beside it, oldest first."""
    first = choose_run(need, without=without, command=command)
    others = [r.id for r in reversed(all_runs()) if r.id != first.id and (not need or need(r))]
    more = st.sidebar.multiselect("Beside it", others, format_func=in_short) if others else []
    return [run for run in all_runs() if run.id in {first.id, *more}]


def in_short(name: str) -> str:
    """A run's name where there is little room: its beginning, and the end that tells it apart."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 14]}\u2026{name[-13:]}"


def headline(words: str, about: str = "") -> None:
    """What is seen here in a sentence, and on what data."""
    st.header(plain(words), anchor=False)
    if about:
        st.caption(plain(about))


def plain(text: str) -> str:
    """Words that may come from a file, without pictures, links and markup that Markdown sees.

    A picture would make the browser ask another host.
    """
    return re.sub(r"([\[\]<>!])", r"\\\1", text)


def about(run: Run) -> str:
    """What a run was made on, in a line; what must be said of it stands in capitals."""
    meta = run.meta()
    marks, n_chans = marks_of(meta), len(meta.get("ch_names") or [])
    facts = [
        f"{meta.get('dataset', '')}{marks and f' ({marks})'}",
        str(meta.get("protocol") or ""),
        " / ".join(map(str, meta.get("classes") or [])),
        f"{n_chans} channels" if n_chans else "",
        run.id,
    ]
    return " · ".join(fact for fact in facts if fact)


def show(figure: Figure, *, key: str = "") -> None:
    """Draw a figure with its title, how to read it, and downloads.

    Parameters
    ----------
    figure
        Its name is unique on the page, unless a `key` makes it so.
    key
        Added to the name.
    """
    name = f"{figure.name}{key and f'_{key}'}"
    with st.container(key=f"figure-{name}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small",
                          key=f"head-{name}"):  # fmt: skip
            st.markdown(f"**{plain(figure.title)}**", width="stretch")
            for kind, make, mime in (
                ("SVG", figure.svg, "image/svg+xml"),
                ("PNG", figure.png, "image/png"),
                ("CSV", figure.csv, "text/csv"),
            ):
                st.download_button(
                    kind,
                    make,  # called when it is asked for
                    file_name=f"{name}.{kind.lower()}",
                    mime=mime,
                    key=f"{name}-{kind}",
                    on_click="ignore",
                    type="tertiary",
                )
        if figure.chart is not None:
            st.altair_chart(figure.fitted(), width="stretch")
        else:
            words = f"{figure.name}\n{figure.title}\n{figure.csv()}"
            st.image(_svg(figure, hashlib.sha256(words.encode()).hexdigest(), is_dark()))
        if figure.caption:
            st.caption(plain(figure.caption))


@st.cache_data(max_entries=128, show_spinner=False)
def _svg(_figure: Figure, key: str, dark: bool) -> str:
    return _figure.svg(dark=dark)


def is_dark() -> bool:
    """Whether the page is dark."""
    return bool(st.context.theme.type == "dark")


@contextmanager
def saying() -> Iterator[None]:
    """A mistake that the reader can mend becomes one line, and the page ends there."""
    try:
        yield
    except NeurodecodeError as error:
        st.error(plain(str(error)), icon=":material/error:")
        st.stop()


def cached(function: Callable[..., Answer]) -> Callable[..., Answer]:
    """The function, whose answers are kept until a run that it was given changes on the disk.

    What it is given are runs, lists of them and plain values; what it gives back is copied.
    """
    keep: Any = st.cache_data(max_entries=64, show_spinner=False, hash_funcs={Run: stamp})
    kept: Callable[..., Answer] = keep(function)
    return kept


def stamp(run: Run) -> tuple[Any, ...]:
    """Changes whenever a file of a run does: they are written beside and moved into their place."""
    try:
        with os.scandir(run.path) as entries:
            seen = sorted((e.name, e.stat().st_mtime_ns, e.stat().st_size) for e in entries)
    except OSError:
        seen = []
    return str(run.path), *seen


def nothing(text: str, command: str) -> NoReturn:
    """Say what is not there and which command makes it, and end the page."""
    st.info(plain(text), icon=":material/info:")
    st.code(command, language="bash")
    st.stop()
