"""Hearing the decisions of a loop."""

from contextlib import suppress
from typing import Any
from xml.etree import ElementTree

from neurodecode.online.lsl.find import Found
from neurodecode.online.lsl.library import StreamLost, load_lsl

AT_ONCE = 1024  # decisions that one pull takes at most
BUFFER = 10  # hundreds of decisions that liblsl keeps for a consumer that is busy
ANSWER = 2.0  # s that a stream has to describe itself


class DecisionInlet:
    """The decisions of a stream, as they come.

    Parameters
    ----------
    found
        A stream of kind "Decision"; see `neurodecode.online.lsl.DecisionOutlet`.

    Attributes
    ----------
    facts
        What it says of itself; see `decision_facts`.

    Raises
    ------
    StreamLost
        If it does not answer, or its description cannot be read.
    """

    def __init__(self, found: Found) -> None:
        self.name = str(found)
        self._inlet = load_lsl().StreamInlet(found.info, max_buflen=BUFFER, recover=False)
        try:
            self.facts = decision_facts(self._inlet.info(ANSWER).as_xml())
            self._inlet.open_stream(ANSWER)
        except (RuntimeError, ElementTree.ParseError, ValueError) as error:  # pylsl's is the first
            raise StreamLost(f"The stream {found} does not answer. Start it again.") from error

    def pull(self) -> list[list[float]]:
        """Decisions that have come, in order; never waits.

        Each is a row: a probability for each class, newest, made, status, command.

        Raises
        ------
        StreamLost
            If the stream has gone.
        """
        try:
            rows, _ = self._inlet.pull_chunk(0.0, AT_ONCE)
        except RuntimeError as error:
            raise StreamLost(f"The stream {self.name} has gone.") from error
        return [[float(value) for value in row] for row in rows]

    def close(self) -> None:
        """Stop hearing it."""
        with suppress(RuntimeError):  # it has gone
            self._inlet.close_stream()


def decision_facts(xml: str) -> dict[str, Any]:
    """What the description of a stream of decisions says.

    Returns
    -------
    dict
        uid, name, host, model (in words), classes (names) and hop (s between decisions).

    Raises
    ------
    ParseError, ValueError
        If it is damaged.
    """
    root = ElementTree.fromstring(xml)
    text = {key: (root.findtext(key) or "").strip() for key in ("uid", "name", "hostname")}
    return {
        "uid": text["uid"],
        "name": text["name"],
        "host": text["hostname"],
        "model": root.findtext("./desc/model") or "",
        "classes": [node.text or "" for node in root.findall("./desc/classes/class")],
        "hop": float(root.findtext("./desc/hop") or 0),
    }
