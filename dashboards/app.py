"""What can be seen of the runs in a folder?"""

import os

import streamlit as st

ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#0072B2"
stroke-width="2.2" stroke-linecap="round"><path d="M2 12h4l2-7 4 14 3-10 2 3h5"/></svg>"""
LOOKS = """<style>
[data-testid="stMainBlockContainer"] {padding: 2.6rem 2.6rem 2rem;}
[data-testid="stMain"] h2 {font-size: 1.55rem; padding-top: 0;}
[data-testid="stMain"] h3 {font-size: 1.15rem;}
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

page = st.navigation(
    {
        section: [
            st.Page(
                f"app_pages/{name}.py",
                title=title,
                icon=icon,
                url_path=name,
                default=name == "overview",
            )
            for name, (title, icon) in pages.items()
        ]
        for section, pages in PAGES.items()
    }
)
st.html(LOOKS)
if os.environ.get("NEURODECODE_DEMONSTRATION"):
    st.info(
        "DEMONSTRATION: a small run on SIMULATED people. Make your own with `neurodecode fit`, and "
        "open it with `neurodecode dashboard`.",
        icon=":material/science:",
    )
page.run()
