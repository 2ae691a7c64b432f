"""Where decisions go: to whoever listens, and into a recording beside what they were made from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurodecode.online import lsl
from neurodecode.online.decision import Decision
from neurodecode.online.engine import Engine
from neurodecode.online.record import Recorder

Array = NDArray[np.float64]
Event = Callable[[str, str], None]


class Outputs:
    """Sends decisions and commands, and records them with signal and markers.

    Parameters
    ----------
    engine
        What decides.
    facts
        Of the signal.
    model
        What decides, in words.
    publish
        Whether decisions and commands are sent by LSL.
    record
        XDF file, new; None for none.
    event
        Takes a word and a line when a recording begins or stops; from any thread.

    Attributes
    ----------
    recording
        File that is being recorded, "" for none.

    Raises
    ------
    ConfigError, StoreError
        If the file cannot be made.
    """

    def __init__(
        self,
        engine: Engine,
        facts: lsl.StreamFacts,
        *,
        model: str,
        publish: bool,
        record: Path | None,
        event: Event,
    ) -> None:
        self.classes, self.event = engine.classes, event
        # The same whenever the loop is started again, so that who listens finds it again
        source_id = f"neurodecode:{model}:{facts.source_id}"
        self.decisions: lsl.DecisionOutlet | None = lsl.DecisionOutlet(
            classes=engine.classes,
            model=model,
            source_id=source_id,
            hop=engine.hop,
            max_gap=engine.max_gap,
        )
        self.commands: lsl.MarkerOutlet | None = lsl.MarkerOutlet(source_id=f"{source_id}:commands")
        self.recorder: Recorder | None = None
        self.recorded, self.rows = facts, list[int]()
        self.per_volt = 1 / facts.scales[:, None]
        if record is not None:
            xml = self.decisions.xml
            try:
                self.recorder = Recorder(record, signal=facts, decisions=xml, say=self._stopped)
            except BaseException:
                self._hush()
                raise
            event("recording", f"Recording to {record}.")
        self.recording = "" if record is None else str(record)
        self.change(facts)
        if not publish:
            self._hush()

    def decision(self, decision: Decision) -> None:
        """Send and record a decision, and its command where it has one."""
        label = self.classes[decision.command] if decision.command >= 0 else ""
        if self.decisions is not None:
            self.decisions.push(decision)
        if label and self.commands is not None:
            self.commands.push(label, decision.made)
        if self.recorder is not None:
            self.recorder.decision(decision)
            if label:
                self.recorder.command(label, decision.made)

    def signal(self, chunk: Array, stamps: Array) -> None:
        """Record samples, (n_chans, n_samples), V, of all channels of the stream, and stamps, s."""
        if self.recorder is not None:
            if self.rows:
                # Behind the last channel stands one that is nothing, for those that are missing
                nothing = 0.0 if "int" in self.recorded.fmt else np.nan
                chunk = np.vstack([chunk, np.full((1, chunk.shape[1]), nothing)])[self.rows]
            self.recorder.signal(chunk * self.per_volt, stamps)

    def marker(self, label: str, stamp: float) -> None:
        """Record a marker that was heard, and its time, s."""
        if self.recorder is not None:
            self.recorder.marker(label, stamp)

    def change(self, facts: lsl.StreamFacts) -> None:
        """The signal comes from another stream: its channels go where they belong in the file."""
        before, now = self.recorded.ch_names, facts.ch_names
        self.rows = [] if now == before else [now.index(n) if n in now else -1 for n in before]
        if self.recorder is None or not self.recorder.running:
            return
        if facts.sfreq != self.recorded.sfreq:
            self._stopped(
                f"Recording stopped: the stream now has {facts.sfreq:g} Hz, not "
                f"{self.recorded.sfreq:g} Hz. What is in {self.recording} by now can be read."
            )
            self.recorder.finish()

    def close(self) -> None:
        """End the streams and the recording."""
        self._hush()
        if self.recorder is not None:
            self.recorder.close()

    def _hush(self) -> None:
        for outlet in (self.decisions, self.commands):
            if outlet is not None:
                outlet.close()
        self.decisions = self.commands = None

    def _stopped(self, text: str) -> None:
        self.recording = ""
        self.event("recording-stopped", text)
