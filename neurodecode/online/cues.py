"""Cues: who is asked for which class, and when; on the console, or by markers of other programs."""

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.seeding import generator
from neurodecode.online import lsl

Window = NDArray[np.float32]
Scene = Literal["begin", "fixation", "cue", "pause", "end"]


class Cue(NamedTuple):
    """A class that was asked for, and when, s."""

    label: int
    stamp: float


class Outcome(NamedTuple):
    """What became of a cue."""

    cue: Cue
    x: Window | None  # (n_chans, n_times), microvolts; None where it was not taken
    why: str = ""  # it was not


class MarkerCues:
    """Cues that another program gives, by markers.

    Parameters
    ----------
    pull
        Gives markers that have come: (label, time in s).
    labels
        Index of the class that a label stands for.
    wanted
        How many windows of each class.

    Attributes
    ----------
    ignored
        Markers that stand for no class, or for one of which there is enough.
    """

    def __init__(
        self,
        pull: Callable[[], list[tuple[str, float]]],
        labels: Mapping[str, int],
        wanted: Sequence[int],
    ) -> None:
        self.pull, self.labels = pull, dict(labels)
        self.wanted, self.n_open = list(wanted), [0] * len(wanted)
        self.ignored: Counter[str] = Counter()

    @property
    def done(self) -> bool:
        """Whether there are enough windows of every class."""
        return max(self.wanted) <= 0

    def step(self, ready: bool) -> list[Cue]:
        """Markers that stand for a class of which more is wanted."""
        cues = []
        for label, stamp in self.pull():
            index = self.labels.get(label)
            if index is None or self.wanted[index] <= self.n_open[index]:
                self.ignored[label] += 1
            else:
                self.n_open[index] += 1
                cues.append(Cue(index, stamp))
        return cues

    def over(self, outcome: Outcome) -> None:
        """Count down where a window was taken."""
        self.n_open[outcome.cue.label] -= 1
        self.wanted[outcome.cue.label] -= outcome.x is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times between cues on the console, s.

    Attributes
    ----------
    begin
        Before the first fixation.
    fixation
        Before a cue.
    pause
        Shortest and longest after a cue has gone.
    """

    begin: float = 5.0
    fixation: float = 1.5
    pause: tuple[float, float] = (1.0, 2.0)


class ConsoleCues:
    """Cues on the console: a fixation, the class, a pause; the classes in balanced, random order.

    Parameters
    ----------
    classes
        Names.
    wanted
        How many windows of each.
    hold
        How long a cue is shown, s: until its window is over.
    show
        Shows a scene; it is on the screen when this returns.
    publish
        Tells others of a cue: its word, and when it was shown, s.
    seed
        Of order and pauses.
    pace
        Times between cues.
    clock
        Time now, s, on the clock of the stamps.
    """

    def __init__(
        self,
        classes: Sequence[str],
        wanted: Sequence[int],
        *,
        hold: float,
        show: Callable[[Scene, str], None],
        publish: Callable[[str, float], None] = lambda word, stamp: None,
        seed: int = 0,
        pace: Pace | None = None,
        clock: Callable[[], float] = lsl.clock,
    ) -> None:
        self.classes, self.hold, self.pace = tuple(classes), hold, pace or Pace()
        self.show, self.publish, self.clock = show, publish, clock
        self.rng = generator(seed, "cues")
        self.queue: deque[int] = deque()
        for i in range(max(wanted)):  # in rounds, so that at any end classes are even
            one = [label for label, n in enumerate(wanted) if n > i]
            self.queue.extend(self.rng.permutation(one).tolist())
        self.n_total, self.n_taken, self.n_open = sum(wanted), 0, 0
        self.scene: Scene = "begin"
        self.until = math.nan  # the first step begins

    @property
    def done(self) -> bool:
        """Whether there are enough windows of every class."""
        return not self.queue and not self.n_open

    def step(self, ready: bool) -> list[Cue]:
        """Show what is due; the cue that was shown, if one was."""
        now = self.clock()
        if math.isnan(self.until):
            self._turn("begin", self._so_far(), self.pace.begin)
        if self.scene in ("begin", "pause") and now >= self.until and ready and self.queue:
            self._turn("fixation", "", self.pace.fixation)
        elif self.scene == "fixation" and not ready:
            self._turn("pause", self._so_far(), self.pace.pause[0])
        elif self.scene == "fixation" and now >= self.until:
            return [self._cue()]
        elif self.scene == "cue" and now >= self.until:
            self._turn("pause", self._so_far(), self.rng.uniform(*self.pace.pause))
        return []

    def over(self, outcome: Outcome) -> None:
        """Ask again, at the end, for what was not taken."""
        self.n_open -= 1
        if outcome.x is None:
            self.queue.append(outcome.cue.label)
        else:
            self.n_taken += 1

    def _cue(self) -> Cue:
        label, self.n_open = self.queue.popleft(), self.n_open + 1
        stamp = self._turn("cue", self.classes[label], self.hold)
        self.publish(self.classes[label], stamp)
        return Cue(label, stamp)

    def _turn(self, scene: Scene, text: str, seconds: float) -> float:
        """Show a scene for a while; when it was on the screen, s."""
        self.show(scene, text)
        shown = self.clock()
        self.scene, self.until = scene, shown + seconds
        return shown

    def _so_far(self) -> str:
        return f"{self.n_taken} of {self.n_total}"


def parse_labels(text: str | None, classes: Sequence[str]) -> dict[str, int]:
    """Which marker stands for which class, by index.

    Parameters
    ----------
    text
        "left_hand=769,right_hand=770"; a class that is not in it is its own marker.
    classes
        Names.

    Raises
    ------
    UnknownName
        For another class.
    ConfigError
        If that is not what it looks like, or one marker stands for two classes.
    """
    pairs = []
    for part in filter(None, (text or "").split(",")):
        name, equals, label = (word.strip() for word in part.partition("="))
        if not (name and equals and label):
            raise ConfigError(
                f"'{part.strip()}' does not say which marker stands for which class. Write "
                f"{classes[0]}=769,{classes[-1]}=770."
            )
        if name not in classes:
            raise UnknownName("class of this decoder", name, classes)
        pairs.append((label, name))
    named = {name for _, name in pairs}
    pairs += [(name, name) for name in classes if name not in named]
    labels: dict[str, int] = {}
    for label, name in pairs:
        if labels.setdefault(label, classes.index(name)) != classes.index(name):
            raise ConfigError(f"The marker {label} cannot stand for two classes. Write another.")
    return labels
