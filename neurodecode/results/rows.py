"""ResultRow: a line of the results store."""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """What was decoded, how well, from how much, at what cost.

    Attributes
    ----------
    key
        Hash of everything that could change the score.
    paradigm, dataset, protocol
        Words of the command line.
    fold
        What the fold leaves out, such as "subject=3".
    subject, session
        Of the test windows; "*" where there are several.
    model, align, seed
        The decoder, the alignment of the test subject, and the seed of everything random.
    clean
        The cleaner and what it was fitted to, or "none".
    labels
        "true", or "shuffled" for a control that must score at chance.
    metric, score
        The metric of the run, and its value on the test windows.
    scores
        Every metric that the predictions allow.
    n_train, n_test, n_chans, n_times, n_classes
        Sizes: windows, channels, samples, classes. A denoiser has no classes, and `n_train` people.
    sfreq
        Hz.
    n_params
        Trainable parameters; 0 for decoders that have none.
    fit_time, predict_time
        Seconds for the decoder's fit, and for one window at test; cleaning is not in them.
    history
        Per epoch of training: name to values; empty for decoders that have none.
    simulated
        Whether the recordings were simulated.
    contaminated
        Artifacts that were added to the recordings, in words; empty where none were.
    """

    key: str
    paradigm: str
    dataset: str
    protocol: str
    fold: str
    subject: str
    session: str
    model: str
    align: str
    seed: int
    labels: str
    metric: str
    score: float
    scores: dict[str, float]
    n_train: int
    n_test: int
    n_chans: int
    n_times: int
    n_classes: int
    sfreq: float
    n_params: int
    fit_time: float
    predict_time: float
    history: dict[str, list[float]]
    simulated: bool
    clean: str = "none"
    contaminated: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON; its lists and tables are the row's own, not copies."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The row that `as_dict` wrote; fields it does not know are left out."""
        known = cls.__slots__
        return cls(**{name: value for name, value in values.items() if name in known})
