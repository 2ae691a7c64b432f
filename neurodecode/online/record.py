"""Signal, decisions and markers side by side in an XDF file, as they come.

Format: XDF 1.0, https://github.com/sccn/xdf/wiki/Specifications. All streams are written on this
machine's clock, so that every clock offset is 0.
"""

import logging
import os
import queue
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, StoreError
from neurodecode.online.decision import Decision
from neurodecode.online.lsl import StreamFacts, decision_row
from neurodecode.online.lsl.find import DTYPES
from neurodecode.recordings.xdf import BOUNDARY as MARK  # by which readers of damage go on
from neurodecode.recordings.xdf import COMMANDS

HEADER, STREAM, SAMPLES, OFFSET, BOUNDARY, FOOTER = range(1, 7)
EVERY = 0.25  # s between two writes
BETWEEN_OFFSETS = 5.0  # s
BETWEEN_MARKS = 10.0  # s
MOST = 256 * 2**20  # bytes that may wait for a disk that does not answer
PATIENCE = 5.0  # s that closing waits for the disk
ROOM = "Make room, or record to another disk."

logger = logging.getLogger(__name__)


Stamps = Sequence[float] | NDArray[np.float64]


@dataclass(slots=True)
class _Stream:
    """What is counted of one stream; its values are words where there is no dtype."""

    dtype: np.dtype[np.void] | None
    n: int = 0
    first: float = 0.0
    last: float = 0.0
    offsets: list[float] = field(default_factory=list)


class XdfFile:
    """An XDF file that can be read at any moment while it grows.

    Nothing is written before `flush`, which hands over whole chunks only.

    Parameters
    ----------
    path
        A new file, with suffix .xdf.

    Raises
    ------
    ConfigError
        If the name has another suffix.
    StoreError
        If the file exists, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix != ".xdf":
            raise ConfigError(f"A recording is written as XDF; call {path} something.xdf.")
        self.path = path
        self.streams: list[_Stream] = []
        self._size, self._ends = 0, list[int]()
        self._offset_due = self._mark_due = 0.0
        try:
            # Exclusive: somebody's recording is never written over.
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise StoreError(f"{path} exists, and is not replaced. Give another name.") from error
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}). Name a folder that is there and "
                f"may be written to."
            ) from error
        self._buffer = bytearray(b"XDF:")
        made = datetime.now(UTC).isoformat(timespec="seconds")
        self._chunk(HEADER, _xml(f"<version>1.0</version><datetime>{made}</datetime>"))
        self._mark_due = time.monotonic() + BETWEEN_MARKS

    def add(self, xml: str) -> int:
        """Begin a stream with LSL's description of it; its number."""
        root = ElementTree.fromstring(xml)
        form = root.findtext("channel_format") or ""
        number_type = np.dtype(DTYPES.get(form, np.float64)).newbyteorder("<")
        values = (number_type, (int(root.findtext("channel_count") or 1),))
        sample = np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", *values)])
        self.streams.append(_Stream(None if form == "string" else sample))
        number = len(self.streams)
        self._chunk(STREAM, struct.pack("<I", number) + xml.encode())
        self._offset_due = 0.0
        return number

    def write(
        self, number: int, values: NDArray[np.float64] | Sequence[str], stamps: Stamps
    ) -> None:
        """Add samples to a stream.

        Parameters
        ----------
        number
            Of the stream.
        values
            (n_samples, n_chans) in the stream's own unit, or a word for each sample.
        stamps
            (n_samples,), s.
        """
        stream, n = self.streams[number - 1], len(stamps)
        if not n:
            return
        if stream.dtype is None:
            body = b"".join(map(_word, values, stamps))
        else:
            numbers = np.asarray(values)
            samples = np.empty(n, stream.dtype)
            whole = stream.dtype["values"].base.kind == "i"
            samples["size"], samples["stamp"] = 8, stamps
            samples["values"] = np.rint(numbers) if whole else numbers
            body = samples.tobytes()
        self._chunk(SAMPLES, struct.pack("<IBI", number, 4, n) + body)
        stream.first = stream.first if stream.n else float(stamps[0])
        stream.last, stream.n = float(stamps[-1]), stream.n + n

    def flush(self) -> None:
        """Hand everything to the operating system.

        Raises
        ------
        OSError
            If it takes no more, as on a full disk; the file then ends with its last whole chunk.
        """
        now = time.monotonic()
        if now >= self._offset_due:
            self._offset_due = now + BETWEEN_OFFSETS
            for number, stream in enumerate(self.streams, 1):
                at = stream.last or now
                stream.offsets.append(at)
                self._chunk(OFFSET, struct.pack("<Idd", number, at, 0.0))
        if now >= self._mark_due:
            self._mark_due = now + BETWEEN_MARKS
            self._chunk(BOUNDARY, MARK)
        data, done = bytes(self._buffer), 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            whole = max((end for end in self._ends if end <= done), default=0)
            os.ftruncate(self._file, self._size + whole)
            raise
        self._size += done
        self._buffer.clear()
        self._ends.clear()

    def close(self) -> None:
        """Write what is left and the footers, and close the file.

        Raises
        ------
        OSError
            As `flush`; the file is closed all the same.
        """
        try:
            for number, stream in enumerate(self.streams, 1):
                offsets = "".join(
                    f"<offset><time>{at!r}</time><value>0.0</value></offset>"
                    for at in stream.offsets
                )
                footer = (
                    f"<first_timestamp>{stream.first!r}</first_timestamp>"
                    f"<last_timestamp>{stream.last!r}</last_timestamp>"
                    f"<sample_count>{stream.n}</sample_count>"
                    f"<clock_offsets>{offsets}</clock_offsets>"
                )
                self._chunk(FOOTER, struct.pack("<I", number) + _xml(footer))
            self.flush()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _chunk(self, tag: int, content: bytes) -> None:
        self._buffer += b"\x08" + struct.pack("<QH", len(content) + 2, tag) + content
        self._ends.append(len(self._buffer))


def _xml(content: str) -> bytes:
    return f'<?xml version="1.0"?><info>{content}</info>'.encode()


def _word(value: object, stamp: float) -> bytes:
    """One sample of a stream of words."""
    text = str(value).encode()
    return struct.pack("<BdBI", 8, stamp, 4, len(text)) + text


def _markers(name: str) -> str:
    """A description of a stream of words."""
    return (
        f"<info><name>{escape(name)}</name><type>Markers</type><channel_count>1</channel_count>"
        f"<nominal_srate>0</nominal_srate><channel_format>string</channel_format></info>"
    )


class Recorder:
    """Records what the live loop hears and says, in a thread of its own.

    No call waits for the disk. A disk that is full, or does not answer, ends the recording and
    nothing else.

    Parameters
    ----------
    path
        A new file, with suffix .xdf.
    signal
        What the recorded stream says of itself.
    decisions
        Description of the stream of decisions, `DecisionOutlet.xml`.
    say
        Is told, once, why a recording stopped; in the thread of the recorder.

    Attributes
    ----------
    running
        Whether what comes is still recorded.

    Raises
    ------
    ConfigError, StoreError
        If the file cannot be made; see `XdfFile`.
    """

    def __init__(
        self, path: Path, *, signal: StreamFacts, decisions: str, say: Callable[[str], None]
    ) -> None:
        self._file = XdfFile(path)
        self._numbers = {
            "signal": self._file.add(signal.xml),
            "decisions": self._file.add(decisions),
        }
        self.running = True
        self._say = say
        self._queue: queue.SimpleQueue[tuple[str, NDArray[np.float64] | list[str], Stamps]] = (
            queue.SimpleQueue()
        )
        self._lock, self._waiting, self._said = threading.Lock(), 0, False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def signal(self, chunk: NDArray[np.float64], stamps: NDArray[np.float64]) -> None:
        """Record samples; neither array may be changed afterwards.

        Parameters
        ----------
        chunk
            (n_chans, n_samples), in the stream's own unit: volts divided by its scales.
        stamps
            (n_samples,), s.
        """
        self._put("signal", chunk.T, stamps, chunk.nbytes)

    def decision(self, decision: Decision) -> None:
        """Record a decision."""
        self._put("decisions", np.array([decision_row(decision)]), [decision.made], 128)

    def command(self, label: str, stamp: float) -> None:
        """Record a command that was given, and the time it belongs to, s."""
        self._put(COMMANDS, [label], [stamp], 128)

    def marker(self, label: str, stamp: float) -> None:
        """Record a marker that was heard, and its time, s."""
        self._put("markers", [label], [stamp], 128)

    def finish(self) -> None:
        """Take no more, write what is left and end the file; does not wait for that."""
        self.running = False
        self._over.set()

    def close(self) -> None:
        """The same, and wait for it: at most 5 s."""
        self.finish()
        self._thread.join(PATIENCE)

    def _put(
        self,
        stream: str,
        values: NDArray[np.float64] | list[str],
        stamps: Stamps,
        size: int,
    ) -> None:
        if not self.running:
            return
        with self._lock:
            self._waiting += size
            full = self._waiting > MOST
        if full:
            self._stop("cannot be written (the disk does not answer)", ROOM)
        else:
            self._queue.put((stream, values, stamps))

    def _run(self) -> None:
        try:
            over = False
            while not over:
                over = self._over.wait(EVERY)
                self._take()
                self._file.flush()
            self._file.close()
        except OSError as error:
            self._stop(f"cannot be written ({error.strerror or error})", ROOM)
            self._file.abandon()
        except Exception as error:  # a bug, which must not pass for a recording
            logger.debug("the recorder was interrupted", exc_info=True)
            self._stop(f"met an error ({type(error).__name__}: {error})", "Report it.")
            self._file.abandon()

    def _take(self) -> None:
        """What waits, into the file's buffer."""
        with self._lock:
            self._waiting = 0
        for _ in range(self._queue.qsize()):
            name, values, stamps = self._queue.get()
            if name not in self._numbers:
                self._numbers[name] = self._file.add(_markers(name))
            self._file.write(self._numbers[name], values, stamps)

    def _stop(self, reason: str, remedy: str) -> None:
        with self._lock:
            said, self._said, self.running = self._said, True, False
        if not said:
            self._say(
                f"Recording stopped: {self._file.path} {reason}. What is in it by now can be read. "
                f"{remedy}"
            )
