"""What can be seen of the runs in a folder?"""

import importlib
import os
import threading

import streamlit as st

ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#0072B2"
stroke-width="2.2" stroke-linecap="round"><path d="M2 12h4l2-7 4 14 3-10 2 3h5"/></svg>"""
LOOKS = """<style>
[data-testid="stMainBlockContainer"] {padding: 2.6rem 2.6rem 2rem;}
[data-testid="stMain"] h2 {font-size: 1.55rem; padding-top: 0;}
[data-testid="stMain"] h3 {font-size: 1.15rem;}
[class*="st-key-head-"] {flex-wrap: nowrap;}
[class*="st-key-head-"] p {overflow-wrap: normal;}
[data-testid="stSidebar"] [data-testid="stSelectbox"] * {font-size: 0.8rem;}
</style>"""

st.set_page_config(page_title="neurodecode", page_icon=ICON, layout="wide")

PAGES = {
    "Scores": {
        "overview": ("Overview", ":material/leaderboard:"),
        "compare": ("Compare", ":material/difference:"),
        "subjects": ("Subjects", ":material/groups:"),
        "decisions": ("Decisions", ":material/fact_check:"),
        "learning": ("Learning", ":material/show_chart:"),
    },
    "What is read": {
        "explain": ("Explain", ":material/neurology:"),
        "artifacts": ("Artifacts", ":material/cleaning_services:"),
    },
    "Cost and use": {
        "energy": ("Energy", ":material/bolt:"),
        "live": ("Live", ":material/sensors:"),
    },
    "Origin": {"provenance": ("Provenance", ":material/receipt_long:")},
}

FIRST = "overview"
LATER = ("neurodecode.results.subjects", "neurodecode.results.comparison",
         "neurodecode.show.figures.decisions", "neurodecode.show.figures.learning",
         "neurodecode.show.figures.sanity", "neurodecode.show.figures.energy",
         "neurodecode.show.figures.cleaning", "matplotlib.backends.backend_svg")  # fmt: skip
"""What other pages import; it takes seconds."""


@st.cache_resource(show_spinner=False)
def warm() -> None:
    """Import beside the first page what the others will need; once for each server."""
    threading.Thread(target=lambda: [importlib.import_module(name) for name in LATER],
                     daemon=True).start()  # fmt: skip


def to_the_first() -> None:
    """The first page has the address of the folder; who writes its name is led there."""
    st.switch_page(f"app_pages/{FIRST}.py")


sections = {
    section: [
        st.Page(
            f"app_pages/{name}.py",
            title=title,
            icon=icon,
            url_path="first" if name == FIRST else name,  # it has no name in the address
            default=name == FIRST,
        )
        for name, (title, icon) in pages.items()
    ]
    for section, pages in PAGES.items()
}
sections["Scores"].append(st.Page(to_the_first, url_path=FIRST, visibility="hidden"))
page = st.navigation(sections)
st.html(LOOKS)
if os.environ.get("NEURODECODE_DEMONSTRATION"):
    st.info(
        "DEMONSTRATION: a small run on SIMULATED people. Make your own with `neurodecode fit`, and "
        "open it with `neurodecode dashboard`.",
        icon=":material/science:",
    )
page.run()
warm()
