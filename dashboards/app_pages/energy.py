"""What does a decision cost, and does spiking pay?"""

from typing import Any

import parts
import streamlit as st

from neurodecode.results.energy import (
    Document,
    energy_table,
    read_energy,
    read_exits,
    twins,
)
from neurodecode.results.store import Run
from neurodecode.show.figures import energy

NUMBER = st.column_config.NumberColumn
COUNTS = {
    "decoder": st.column_config.TextColumn("Decoder", width=190),
    "score": NUMBER("Score", format="%.3f", width=56),
    "n_params": NUMBER("Parameters", format="localized", width=84),
    "rate": NUMBER("Spike rate", format="%.3f", width=76, help="Per neuron and step."),
    "macs": NUMBER("MACs", format="compact", width=58, help="Multiply-accumulates of a window."),
    "acs": NUMBER("ACs", format="compact", width=54, help="Accumulates of a window."),
    "memory_int8": NUMBER("MODELLED \u00b5J", format="%.2f", width=104,
                          help="Operations and memory, int8."),
    "quantised": NUMBER("no spikes \u00b5J", format="%.2f", width=92,
                        help="MODELLED, int8: the same layers without spikes."),
    "p50_ms": NUMBER("Median ms", format="%.2f", width=80, help="Of one window, measured."),
    "p99_ms": NUMBER("99 % ms", format="%.2f", width=66, help="99th percentile, measured."),
}  # fmt: skip
TWINS = {
    "decoder": st.column_config.TextColumn("Spiking"),
    "twin": st.column_config.TextColumn("Conventional"),
    "gain": NUMBER("Score", format="%+.3f"),
    "operations": NUMBER("Operations ×", format="%.2f"),
    "memory": NUMBER("and memory ×", format="%.2f"),
    "memory_int8": NUMBER("in int8 ×", format="%.2f"),
    "counterpart": NUMBER("Counterpart ×", format="%.2f"),
}


@parts.cached
def account(run: Run) -> Document:
    """The account of energy of a run."""
    return read_energy(run)


@parts.cached
def early(run: Run) -> Document:
    """What early exits of a run save and cost."""
    return read_exits(run)


def costs(document: dict[str, Any]) -> None:
    """Modelled energy, operations, spikes and time."""
    table = energy_table(document)
    if table.empty:
        st.info("Only nets are counted, and this run has none.")
        return
    parts.show(energy.energies(document))
    beside = twins(table)
    if not beside.empty:
        st.subheader("Spiking beside its conventional twin")
        st.dataframe(beside, column_config=TWINS, hide_index=True)
        st.caption("MODELLED, as a multiple of the twin's: below 1 the spiking net costs less. Its "
                   "counterpart has the same layers without spikes.")  # fmt: skip
    parts.show(energy.latency(document))
    parts.show(energy.operations(document))
    spikes = energy.spikes(document)
    if spikes is not None:
        parts.show(spikes)
    st.dataframe(table[list(COUNTS)], column_config=COUNTS, hide_index=True, placeholder="")
    unseen = sorted({name for entry in document["models"] for name in entry.get("unseen", [])})
    if unseen:
        st.warning(f"Not counted: products within {', '.join(unseen)}.")


with parts.saying():
    run = parts.choose_run(
        lambda run: (run.path / "energy.json").exists() or (run.path / "exit.json").exists(),
        without="The cost of no run has been counted yet.",
        command="neurodecode energy RUN",
    )
    parts.headline("What a decision costs: energy MODELLED, time measured", parts.about(run))
    if (run.path / "energy.json").exists():
        costs(account(run))
    else:
        st.info(f"Operations of this run were not counted: `neurodecode energy {run.id}`.")
    if (run.path / "exit.json").exists():
        st.subheader("Stopping early")
        exits = energy.exits(early(run))
        if exits is None:
            st.info("None of its decoders can stop early.")
        else:
            parts.show(exits)
