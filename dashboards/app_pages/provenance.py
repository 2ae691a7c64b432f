"""What made this run, and how is it made again?"""

import parts
import streamlit as st

from neurodecode.results.repeat import facts_of, folds_of, libraries_of, repeat_command

folds = parts.cached(folds_of)

with parts.saying():
    run = parts.choose_run()
    table = folds(run)
    n_done, n_planned = int(table["finished"].sum()), len(table)
    meta = run.meta()
    parts.headline(
        f"Made by neurodecode {meta.get('neurodecode', '(version unknown)')}, "
        f"source {meta.get('commit') or 'unknown'}"
        + (f": {n_done} of {n_planned} fits finished" if n_planned else ""),
        parts.about(run),
    )
    command = repeat_command(run)
    if command:
        st.markdown("**The command that repeats it** (finished fits are kept)")
        st.code(command, language="bash", wrap_lines=True)
    if meta.get("data"):
        st.markdown("**Fingerprint of its windows** (signal, labels, who and when; SHA-256)")
        st.code(meta["data"], language=None, wrap_lines=True)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Facts**")
        st.dataframe(
            facts_of(run), hide_index=True, column_config={"fact": "Fact", "value": "Value"}
        )
        st.markdown("**Libraries**")
        st.dataframe(libraries_of(run), hide_index=True)
    with right:
        st.markdown("**Choices** (config.toml)")
        config = run.path / "config.toml"
        try:
            text = config.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            st.warning("config.toml cannot be read.")
        else:
            st.code(text, language="toml", height=520)
            st.download_button("Download config.toml", text, file_name=f"{run.id}.toml",
                               on_click="ignore", type="tertiary")  # fmt: skip
    if n_planned:
        st.markdown("**Fits**")
        st.dataframe(
            table,
            hide_index=True,
            height=300,
            column_config={
                "finished": st.column_config.CheckboxColumn("Finished"),
                "fit_time": st.column_config.NumberColumn("Fit (s)", format="%.2f"),
                "n_train": "Training windows",
                "n_test": "Test windows",
            },
        )
