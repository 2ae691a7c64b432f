"""LSL: what streams say of themselves, which is chosen, and what comes through.

liblsl may crash who uses it, so every test that touches it does so in processes of their own, in a
session of their own, which are killed by their number whatever happens.
"""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurodecode.core.errors import ConfigError, NeurodecodeError, RecordingError
from neurodecode.online import lsl
from neurodecode.online.decision import Decision, Status
from neurodecode.online.lsl import find, library
from neurodecode.online.lsl.inlets import slewed

Start = Callable[..., subprocess.Popen[str]]
OUTLETS = """
import sys, time
import numpy as np
from neurodecode.online import lsl
lsl.configure(session=sys.argv[1])
signal = lsl.SignalOutlet(
    name="amp", source_id="amp-1", sfreq=100.0, ch_names=["FP1", "EOG", "Status"],
    ch_types=["eeg", "eog", "stim"], fmt=sys.argv[2], playing={"dataset": "toy", "speed": "1"},
)
words = lsl.MarkerOutlet(name="amp-markers", source_id="amp-1-markers")
print("up", flush=True)
while not signal.wait(0.1):
    pass
x, start = np.arange(300) * np.array([[1e-6], [2e-6], [3.0]]), lsl.clock()
for first in range(0, 300, 10):
    if first == 100:
        words.push("left_hand", start + 1.05)
    piece = slice(first, first + 10)
    signal.push(x[:, piece], start + np.arange(300)[piece] / 100)
print(start, flush=True)
sys.stdin.readline()
"""
HEAR = """
import json, sys, time
import numpy as np
from neurodecode.online import lsl
lsl.configure(session=sys.argv[1])
found = lsl.choose_signal(None, 10.0)
words = lsl.MarkerInlet(lsl.find_streams(kind="Markers", n=1, timeout=5.0)[0])
inlet = lsl.SignalInlet(found)
chunks, stamps = [], []
while sum(len(part) for part in stamps) < 300:
    chunk, part = inlet.pull(1.0)
    chunks.append(chunk)
    stamps.append(part)
    inlet.correct()
facts, markers = inlet.facts, words.pull()
print(json.dumps({
    "x": np.hstack(chunks).tolist(), "stamps": np.hstack(stamps).tolist(), "markers": markers,
    "facts": [facts.ch_names, facts.ch_types, facts.scales.tolist(), facts.sfreq, facts.fmt,
              dict(facts.playing)],
}), flush=True)
try:
    while True:
        inlet.pull(1.0)
except lsl.StreamLost as error:
    print(error, flush=True)
for _ in range(50):  # the end of one stream may be heard a moment before that of the other
    words.pull()
    if words.lost:
        break
    time.sleep(0.1)
print(words.lost, flush=True)
"""


@pytest.fixture
def session() -> str:
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes, and ends those that are left."""
    running: list[subprocess.Popen[str]] = []

    def start(script: str, *words: str, **env: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [sys.executable, "-c", script, *words],
            stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=os.environ | env,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    """The next line a process says; its complaint where it says none."""
    assert process.stdout is not None
    assert process.stderr is not None
    text = process.stdout.readline()
    assert text, process.stderr.read()
    return text.strip()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("fmt", ["double64", "float32"])
def test_what_is_sent_is_heard(start: Start, session: str, fmt: str) -> None:
    """Volts, stamps, channels, markers; and when the stream has gone, that it has."""
    outlets = start(OUTLETS, session, fmt)
    hear = start(HEAR, session)
    assert line(outlets) == "up"
    begun = float(line(outlets))
    heard = json.loads(line(hear))
    names, types, scales, sfreq, form, playing = heard["facts"]
    assert (names, types) == (["Fp1", "EOG", "Status"], ["eeg", "eog", "stim"])
    assert (scales, sfreq, form) == ([1e-6, 1e-6, 1.0], 100.0, fmt)
    assert playing == {"dataset": "toy", "speed": "1"}
    sent = np.arange(300) * np.array([[1e-6], [2e-6], [3.0]])
    np.testing.assert_allclose(heard["x"], sent, rtol=1e-12 if fmt == "double64" else 1e-6)
    np.testing.assert_allclose(heard["stamps"], begun + np.arange(300) / 100, rtol=0, atol=2e-4)
    ((label, stamp),) = heard["markers"]
    assert label == "left_hand"
    assert stamp == pytest.approx(begun + 1.05, abs=2e-4)
    outlets.kill()
    assert line(hear) == ("The stream 'amp' (EEG, 3 channels, 100 Hz, source id 'amp-1') has gone.")
    assert line(hear) == "True"  # the markers are lost


OFFER_DEFAULT = """
import sys
import pylsl
info = pylsl.StreamInfo(sys.argv[1], "EEG", 1, 100.0, "float32", sys.argv[1])
outlet = pylsl.StreamOutlet(info)
print("up", flush=True)
sys.stdin.readline()
"""
FIND_DEFAULT = """
import sys
import pylsl
print(len(pylsl.resolve_byprop("name", sys.argv[1], minimum=1, timeout=10.0)), flush=True)
"""
OFFER = """
import sys
from neurodecode.online import lsl
lsl.configure(session=sys.argv[2] if len(sys.argv) > 2 else None)
outlet = lsl.MarkerOutlet(name=sys.argv[1], source_id=sys.argv[1])
print("up", flush=True)
sys.stdin.readline()
"""
FIND = """
import sys
from neurodecode.online import lsl
lsl.configure(session=sys.argv[2] if len(sys.argv) > 2 else None)
wait = 10.0 if len(sys.argv) < 4 else float(sys.argv[3])
print(len(lsl.find_streams(name=sys.argv[1], n=1, timeout=wait)), flush=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_other_programs_find_our_streams_and_we_theirs(start: Start) -> None:
    """Those that leave liblsl as it comes, and ours that stay on this machine."""
    theirs, ours = f"their {uuid.uuid4().hex}", f"our {uuid.uuid4().hex}"
    for process in (start(OFFER_DEFAULT, theirs), start(OFFER, ours)):
        assert line(process) == "up"
    looks = [start(FIND, theirs), start(FIND_DEFAULT, ours)]
    assert [line(look) for look in looks] == ["1", "1"]


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_sessions_do_not_see_each_other(start: Start, session: str) -> None:
    assert line(start(OFFER, "cues", session)) == "up"
    looks = [start(FIND, "cues", session), start(FIND, "cues", f"{session}-b", "1.0")]
    assert [line(look) for look in looks] == ["1", "0"]


CODES = """
import sys
import pylsl
from neurodecode.online import lsl
lsl.configure(session=sys.argv[1])
outlet = pylsl.StreamOutlet(pylsl.StreamInfo("codes", "Stim", 1, 0, "int32", "codes-1"))
print("up", flush=True)
while not outlet.wait_for_consumers(0.1):
    pass
outlet.push_sample([int(sys.argv[2])], 5.0)
sys.stdin.readline()
"""
HEAR_CODES = """
import sys, time
from neurodecode.online import lsl
lsl.configure(session=sys.argv[1])
inlet = lsl.MarkerInlet(lsl.find_streams(name="codes", n=1, timeout=10.0)[0])
seen = lost = None
while True:
    longest = time.perf_counter()
    got = inlet.pull()
    if time.perf_counter() - longest > 0.5:
        print("waited", flush=True)
    for label, stamp in got:
        print(label, round(stamp, 3), flush=True)
    if inlet.lost != lost:
        lost = inlet.lost
        print("lost" if lost else "there", flush=True)
    time.sleep(0.01)
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_codes_are_labels_and_their_stream_is_found_again(start: Start, session: str) -> None:
    first = start(CODES, session, "7")
    assert line(first) == "up"
    hear = start(HEAR_CODES, session)
    said = [line(hear), line(hear)]
    assert sorted(said) == ["7 5.0", "there"]
    first.kill()
    assert line(hear) == "lost"
    start(CODES, session, "8")
    assert line(hear) == "there"
    assert line(hear) == "8 5.0"


ONCE = """
from neurodecode.core.errors import ConfigError
from neurodecode.online import lsl
lsl.configure(session="a")
lsl.configure(session="a")
for session, network in (("b", False), ("a", True)):
    try:
        lsl.configure(session=session, network=network)
    except ConfigError as error:
        print(error, flush=True)
"""


def test_a_process_is_configured_once(start: Start) -> None:
    process = start(ONCE)
    assert line(process) == (
        "This process uses LSL session 'a' on this machine already, and cannot change to 'b' on "
        "this machine. Start another process for that."
    )
    assert "cannot change to 'a' on the network" in line(process)


def test_a_persons_own_configuration_wins(start: Start, tmp_path: Path) -> None:
    own = tmp_path / "lsl_api.cfg"
    own.write_text("[lab]\nSessionID = theirs\n[log]\nlevel = -3\n")
    script = "import logging\nlogging.basicConfig()\n" + FIND
    process = start(script, "nothing", "ours", "0.1", LSLAPICFG=str(own))
    assert line(process) == "0"
    assert process.stderr is not None
    assert f"LSL is configured by {own}: network and session id are as it says" in (
        process.stderr.read()
    )


@pytest.mark.parametrize("word", ["", "two words", "a]b", "x\ny", "z" * 65])
def test_a_session_id_is_a_word(word: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a session id. Write up to 64 letters"):
        lsl.configure(session=word)


def test_without_liblsl_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_configured", None)
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(ConfigError, match="pylsl finds no liblsl .* Install it with `pip install"):
        lsl.clock()


# What a stream says of itself


def described(*channels: str, n: int | None = None, extra: str = "") -> str:
    return (
        f"<?xml version='1.0'?><info><name>amp</name><type>EEG</type><channel_count>"
        f"{n or len(channels)}</channel_count><nominal_srate>250</nominal_srate>"
        f"<channel_format>float32</channel_format><source_id>a</source_id><uid>u</uid><desc>"
        f"<channels>{''.join(f'<channel>{c}</channel>' for c in channels)}</channels>{extra}"
        f"</desc></info>"
    )


def test_channels_without_names_are_numbered_and_in_microvolts() -> None:
    facts = lsl.facts_of(described(n=3))
    assert facts.ch_names == ("E1", "E2", "E3")
    assert facts.ch_types == ("eeg",) * 3
    assert facts.scales.tolist() == [1e-6] * 3
    assert facts.playing == {}


def test_names_are_tidy_and_tell_types() -> None:
    labels = ["EEG FP1-REF", "t3", "HEOG", "Fp2", "FP2-REF", "TRIG"]
    facts = lsl.facts_of(described(*(f"<label>{label}</label>" for label in labels)))
    assert facts.ch_names == ("Fp1", "T7", "HEOG", "Fp2", "FP2-REF", "TRIG")
    assert facts.ch_types == ("eeg", "eeg", "eog", "eeg", "eeg", "stim")
    assert facts.scales.tolist() == [1e-6] * 5 + [1.0]


@pytest.mark.parametrize(
    ("unit", "volts"), [("microvolts", 1e-6), ("µV", 1e-6), ("mV", 1e-3), ("volts", 1.0)]
)
def test_units_are_read(unit: str, volts: float) -> None:
    text = f"<label>Cz</label><unit>{unit}</unit><type>EEG</type>"
    assert lsl.facts_of(described(text)).scales.tolist() == [volts]


def test_a_unit_that_is_no_voltage_is_refused_for_eeg_only() -> None:
    with pytest.raises(RecordingError, match="states its unit as 'furlong', which is no voltage"):
        lsl.facts_of(described("<label>Cz</label><unit>furlong</unit>"))
    other = described("<label>x</label><unit>furlong</unit><type>Acc</type>")
    assert lsl.facts_of(other).ch_types == ("misc",)


def test_two_channels_of_one_name_are_refused() -> None:
    with pytest.raises(RecordingError, match="more than one channel called Cz"):
        lsl.facts_of(described("<label>Cz</label>", "<label>Cz</label>"))


def test_what_is_no_description_is_refused_in_a_line() -> None:
    for xml in ("", "<info>", "<info><name>x</name></info>"):
        with pytest.raises(RecordingError, match="damaged XML") as error:
            lsl.facts_of(xml)
        assert "\n" not in str(error.value)


# Which stream is chosen


def stream(name: str, kind: str = "EEG", **facts: Any) -> lsl.Found:
    known = {"sfreq": 250.0, "n_chans": 8, "fmt": "float32", "source_id": f"{name}-id"} | facts
    return lsl.Found(info=None, name=name, kind=kind, uid=name, host="here", **known)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> list[lsl.Found]:
    """Streams that are found."""
    streams: list[lsl.Found] = []
    ticks = iter(range(100))
    monkeypatch.setattr(find, "find_streams", lambda **how: list(streams))
    monkeypatch.setattr(find, "clock", lambda: float(next(ticks)))
    return streams


def test_the_eeg_is_chosen_among_other_streams(there: list[lsl.Found]) -> None:
    there += [
        stream("cap"),
        stream("mouse", "Position"),
        stream("words", "Markers", sfreq=0.0, fmt="string"),
        stream("neurodecode", "Decision", sfreq=0.0, fmt="double64"),
    ]
    assert lsl.choose_signal(None, 5.0).name == "cap"
    assert lsl.choose_signal("mouse", 5.0).name == "mouse"
    assert lsl.choose_signal("mouse-id", 5.0).name == "mouse"


def test_where_no_stream_is_eeg_the_rate_tells(there: list[lsl.Found]) -> None:
    there += [stream("cap", "Data"), stream("battery", "", sfreq=1.0), stream("mic", "Audio")]
    assert lsl.choose_signal(None, 5.0).name == "cap"


def test_no_stream_says_what_there_is(there: list[lsl.Found]) -> None:
    with pytest.raises(RecordingError, match=r"Waited 5 s .* there is no stream at all\. Start"):
        lsl.choose_signal(None, 5.0)
    there += [stream("words", "Markers", sfreq=0.0, fmt="string", n_chans=1)]
    with pytest.raises(RecordingError, match=r"'words' \(Markers, 1 channels, irregular"):
        lsl.choose_signal("cap", 5.0)


def test_several_streams_are_listed(there: list[lsl.Found]) -> None:
    there += [stream("cap"), stream("other cap")]
    with pytest.raises(RecordingError, match="there are 2: 'cap' .*'other cap' .*Give the name"):
        lsl.choose_signal(None, 5.0)


def test_a_stream_that_cannot_be_found_again_is_refused(there: list[lsl.Found]) -> None:
    there += [stream("cap", source_id="")]
    with pytest.raises(RecordingError, match="no source id.* could not be found again"):
        lsl.choose_signal(None, 5.0)


def test_a_name_with_both_quotes_cannot_be_looked_for() -> None:
    assert find.quoted("it's") == '"it\'s"'
    with pytest.raises(NeurodecodeError, match="both kinds of quotes"):
        find.quoted("'\"")


def test_stamps_slide_to_a_new_clock_offset_and_no_sample_seems_to_be_missing() -> None:
    offset, steps = 10.0, list[float]()
    for _ in range(30):
        steps.append(slewed(offset, 10.001) - offset)
        offset += steps[-1]
    assert max(steps) <= 50.001e-6
    assert offset == pytest.approx(10.001, abs=1e-9)
    assert slewed(10.001, 10.0) == pytest.approx(10.001 - 50e-6)
    assert slewed(10.0, 70.0) == 70.0  # the other clock was set


def test_a_decision_is_one_sample() -> None:
    decision = Decision(
        proba=np.array([0.25, 0.75]), evidence=np.array([0.1, 0.9]), newest=10.0, made=10.1,
        status=Status.ABSTAIN, command=-1, bad=(), sample=7,
    )  # fmt: skip
    assert lsl.decision_row(decision) == [0.25, 0.75, 10.0, 10.1, 1.0, -1.0]
