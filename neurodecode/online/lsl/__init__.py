"""The lab streaming layer: finding streams, hearing them, and being heard.

Nothing outside this folder sees pylsl. By default streams are looked for and found on this machine
only; liblsl itself has neither authentication nor encryption, and listens on all interfaces.
"""

from neurodecode.online.lsl.facts import StreamFacts, facts_of
from neurodecode.online.lsl.find import Found, choose_signal, find_streams
from neurodecode.online.lsl.inlets import MarkerInlet, SignalInlet
from neurodecode.online.lsl.library import (
    StreamLost,
    clock,
    configure,
    library_version,
    session_id,
)
from neurodecode.online.lsl.outlets import (
    DecisionOutlet,
    MarkerOutlet,
    SignalOutlet,
    decision_row,
)

__all__ = [
    "DecisionOutlet",
    "Found",
    "MarkerInlet",
    "MarkerOutlet",
    "SignalInlet",
    "SignalOutlet",
    "StreamFacts",
    "StreamLost",
    "choose_signal",
    "clock",
    "configure",
    "decision_row",
    "facts_of",
    "find_streams",
    "library_version",
    "session_id",
]
