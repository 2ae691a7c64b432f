"""Every classifier of braindecode, by class name.

``braindecode:EEGNet`` is braindecode's class of that name, with its own options and defaults.
The best known also go by a short name. Weights, options and results are braindecode's, see
https://braindecode.org; the order in which some of them compute is not, see
`neurodecode.models.braindecode_reordered`.

Foundation models are given windows as in their pretraining, without its weights: at their own
sampling rate, in whole patches, with names or positions of channels. Nothing is downloaded.
"""

import inspect
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS
from neurodecode.recordings.montage import cap_1005
from neurodecode.signal.resampling import resampling_matrix

logger = logging.getLogger(__name__)

# braindecode repairs what does not fit and says so in a warning; these words give it away.
REPAIRS = ("adjust", "reducing", "will be padded", "rescal", "truncat")


@dataclass(frozen=True, slots=True)
class Pretraining:
    """What windows a foundation model was pretrained on.

    Attributes
    ----------
    sfreq
        Hz.
    patch, overlap
        Samples of a patch, and of it in the next; None where any length does.
    """

    sfreq: float
    patch: int | None = None
    overlap: int = 0


FOUNDATION = {
    "BIOT": Pretraining(200.0),
    "CBraMod": Pretraining(200.0, 200),
    "EEGPT": Pretraining(256.0),
    "Labram": Pretraining(200.0, 200),
    "REVE": Pretraining(200.0, 200, 20),
}


@MODELS.add("braindecode")
def classifier(spec: TaskSpec, *, variant: str = "", **options: Any) -> nn.Module:
    """Any classifier of braindecode, by class name: braindecode:EEGNeX."""
    return _build(variant, spec, options)


@MODELS.add("eegnet")
def eegnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """EEGNet: a compact depthwise separable net (J. Neural Eng. 2018); braindecode."""
    return _build("EEGNet", spec, options)


@MODELS.add("shallow")
def shallow(spec: TaskSpec, **options: Any) -> nn.Module:
    """ShallowConvNet: learned log band power (Human Brain Mapping 2017); braindecode."""
    return _build("ShallowFBCSPNet", spec, options)


@MODELS.add("deep4")
def deep4(spec: TaskSpec, **options: Any) -> nn.Module:
    """DeepConvNet: four convolution-pooling blocks (Human Brain Mapping 2017); braindecode."""
    return _build("Deep4Net", spec, options)


@MODELS.add("eegconformer")
def eegconformer(spec: TaskSpec, **options: Any) -> nn.Module:
    """EEG Conformer: convolution, then self-attention over time (TNSRE 2023); braindecode."""
    return _build("EEGConformer", spec, options)


@MODELS.add("atcnet")
def atcnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """ATCNet: attention and temporal convolution over sliding windows (TII 2023); braindecode."""
    return _build("ATCNet", spec, options)


@MODELS.add("ctnet")
def ctnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """CTNet: convolutional transformer (Scientific Reports 2024); braindecode."""
    return _build("CTNet", spec, options)


@MODELS.add("msvtnet")
def msvtnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """MSVTNet: multi-scale convolution and transformer (JBHI 2024); braindecode."""
    return _build("MSVTNet", spec, options)


@MODELS.add("fbcnet")
def fbcnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """FBCNet: filter bank, spatial convolution, variance (arXiv 2104.01233); braindecode."""
    return _build("FBCNet", spec, options)


@MODELS.add("ifnet")
def ifnet(spec: TaskSpec, **options: Any) -> nn.Module:
    """IFNet: two interacting frequency bands (TNSRE 2023); braindecode."""
    return _build("IFNet", spec, options)


class MeanLogits(nn.Module):
    """Logits of a net that gives one set for every crop of the window: their mean."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        logits: Tensor = self.net(x).flatten(2).mean(dim=2)
        return logits


class Pretrainable(nn.Module):
    """A foundation model, for windows at another rate, or of another length, than its own.

    Parameters
    ----------
    net
        The model.
    given, taken
        Facts of the windows as they come and as the model takes them.
    named
        Whether the model is told the names of channels in every pass.
    """

    resampling: Tensor | None  # (n_times that come, n_times that are taken)

    def __init__(self, net: nn.Module, given: TaskSpec, taken: TaskSpec, *, named: bool) -> None:
        super().__init__()
        self.net, self.n_times = net, taken.n_times
        self.ch_names = list(given.ch_names) if named else None
        matrix = None
        if given.sfreq != taken.sfreq:
            n_out = round(given.duration * taken.sfreq)
            whole = resampling_matrix(given.n_times, given.sfreq, n_out, taken.sfreq)
            matrix = torch.as_tensor(whole[-taken.n_times :].T, dtype=torch.float32).contiguous()
        self.register_buffer("resampling", matrix, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (batch, n_outputs)."""
        x = x[..., -self.n_times :] if self.resampling is None else x @ self.resampling
        logits: Tensor = (
            self.net(x) if self.ch_names is None else self.net(x, ch_names=self.ch_names)
        )
        return logits


def _build(variant: str, spec: TaskSpec, options: dict[str, Any]) -> nn.Module:
    """A braindecode net for these windows, tried on two of them."""
    if variant not in FOUNDATION:
        return _build_for(variant, spec, options)
    taken = _as_pretrained(variant, spec, options)
    _check_names(variant, spec)
    return _build_for(variant, taken, options, given=spec)


def _as_pretrained(variant: str, spec: TaskSpec, options: dict[str, Any]) -> TaskSpec:
    """Facts of the windows as a foundation model takes them: its rate, whole patches, the end.

    Raises
    ------
    SignalError
        If windows are shorter than a patch.
    ConfigError
        If a length among the options is not a whole number.
    """
    own = FOUNDATION[variant]
    for name in ("patch_size", "patch_overlap"):
        if not isinstance(options.get(name, 0), int):
            raise ConfigError(
                f"braindecode's {variant} {name} = {options[name]!r} is not a whole number. "
                f"Give samples at {own.sfreq:g} Hz."
            )
    n_times = round(spec.duration * own.sfreq)
    if own.patch is not None:
        patch: int = options.get("patch_size", own.patch)
        step = patch - options.get("patch_overlap", own.overlap)
        if n_times < patch:
            raise SignalError(
                f"braindecode's {variant} takes patches of {patch / own.sfreq:g} s, and windows "
                f"are {spec.duration:g} s. Cut longer windows."
            )
        left_out = (n_times - patch) % max(1, step)
        if left_out:
            logger.warning(
                "braindecode's %s takes whole patches: the first %g s of windows are left out.",
                variant, left_out / own.sfreq,
            )  # fmt: skip
        n_times -= left_out
    if spec.sfreq != own.sfreq:
        logger.info(
            "braindecode's %s takes %g Hz: windows of %g Hz are resampled.",
            variant, own.sfreq, spec.sfreq,
        )  # fmt: skip
    return replace(spec, n_times=n_times, sfreq=own.sfreq)


def _check_names(variant: str, spec: TaskSpec) -> None:
    """Refuse channels that a model does not know by name.

    Raises
    ------
    SignalError
        Naming the first.
    """
    known: list[str] = []
    if variant == "Labram":
        known = list(import_braindecode().labram.LABRAM_CHANNEL_ORDER)
    elif variant == "REVE":
        known = list(cap_1005().ch_names)
    places = {name.upper() for name in known}
    strange = [name for name in spec.ch_names if name.upper() not in places]
    if known and strange:
        raise SignalError(
            f"braindecode's {variant} knows channels by name, and {strange[0]} is none of its "
            f"{len(known)} ({len(strange)} of {spec.n_chans} are not). Choose others with "
            f"preprocess.channels, or use BIOT, CBraMod or EEGPT, which take any."
        )


class CapPositions(nn.Module):
    """Stands in for REVE's table of positions, which is a download.

    For names of the 10-05 system that holds the coordinates of MNE's standard cap, m, as here.
    """

    def forward(self, ch_names: list[str]) -> Tensor:
        """Positions, (n_chans, 3), m."""
        cap = {n.upper(): p for n, p in cap_1005().get_positions()["ch_pos"].items()}
        return torch.tensor([cap[name.upper()].tolist() for name in ch_names])


@contextmanager
def _offline() -> Iterator[None]:
    """Let REVE be built without its download: braindecode has no option for it."""
    reve = import_braindecode().reve
    theirs, reve.RevePositionBank = reve.RevePositionBank, CapPositions
    try:
        yield
    finally:
        reve.RevePositionBank = theirs


def _build_for(
    variant: str, spec: TaskSpec, options: dict[str, Any], *, given: TaskSpec | None = None
) -> nn.Module:
    """A net for `spec`, that takes windows as `given` where these differ."""
    builder = _class(variant)
    known = {p.name: p for p in _choices(builder)}
    for name in options:
        if name not in known:
            raise UnknownName(f"option of braindecode's {variant}", name, known)
    facts = {
        "n_chans": spec.n_chans,
        "n_times": spec.n_times,
        "sfreq": spec.sfreq,
        "n_outputs": spec.n_outputs,
        "chs_info": _chs_info(spec),
    }
    taken = inspect.signature(builder).parameters
    arguments = {name: fact for name, fact in facts.items() if name in taken}
    arguments |= {name: _torch_class(known[name], value) for name, value in options.items()}
    comes = given or spec
    import mne

    from neurodecode.models.braindecode_reordered import reorder

    with warnings.catch_warnings(record=True) as said, mne.utils.use_log_level("warning"):
        warnings.simplefilter("always")
        try:
            with _offline():
                net = reorder(builder(**arguments))
            if comes != spec or variant == "Labram":
                net = Pretrainable(net, comes, spec, named=variant == "Labram")
            logits = _try_out(net, comes)
        except Exception as error:  # whatever a constructor or a first pass of theirs may raise
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise SignalError(
                f"braindecode's {variant} cannot be built for {comes.n_chans} channels x "
                f"{comes.n_times} samples at {comes.sfreq:g} Hz: {reason.rstrip('.')}. "
                f"Use longer windows, other options, or another model."
            ) from error
    for warning in said:
        message = " ".join(str(warning.message).split())
        changed = any(word in message.lower() for word in REPAIRS)
        logger.log(
            logging.WARNING if changed else logging.DEBUG, "braindecode's %s: %s", variant, message
        )
    if not isinstance(logits, Tensor) or logits.shape[:2] != (2, spec.n_outputs):
        raise ConfigError(
            f"braindecode's {variant} with these options does not give one score for each of "
            f"{spec.n_outputs} classes. Use another model, or leave out return_features."
        )
    return net if logits.ndim == 2 else MeanLogits(net)


def _try_out(net: nn.Module, spec: TaskSpec) -> Any:
    """What the net makes of two windows, drawn without touching the global random state."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, spec.n_chans, spec.n_times, generator=draw)
    was_training = net.training
    with torch.inference_mode():
        output = net.eval()(x)
    net.train(was_training)
    return output


def _torch_class(parameter: inspect.Parameter, value: Any) -> Any:
    """A class of `torch.nn` for its name, where the option is a class: activation = "ELU"."""
    if not (isinstance(value, str) and inspect.isclass(parameter.default)):
        return value
    name = value.rsplit(".", 1)[-1]
    found = getattr(nn, name, None)
    if not inspect.isclass(found):
        raise UnknownName("class of torch.nn", name, (n for n in dir(nn) if n[0].isupper()))
    return found


def _chs_info(spec: TaskSpec) -> list[dict[str, Any]]:
    """Channels as MNE describes them, with a position where the 10-05 system has one."""
    import mne

    info = mne.create_info(list(spec.ch_names), spec.sfreq, "eeg")
    montage = mne.channels.make_standard_montage("colin27_1005")
    info.set_montage(montage, match_case=False, on_missing="ignore", verbose="error")
    return list(info["chs"])


def _choices(builder: Callable[..., Any]) -> list[inspect.Parameter]:
    """Options of a braindecode class: its parameters that are not facts of the data."""
    facts = {"n_chans", "n_times", "sfreq", "n_outputs", "chs_info", "input_window_seconds"}
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(builder).parameters.values()
    return [
        p.replace(kind=p.KEYWORD_ONLY, annotation=Any)
        for p in parameters
        if p.kind in named and p.name not in facts
    ]


def _class(variant: str) -> Callable[..., nn.Module]:
    """The class of braindecode called `variant`."""
    known = _classifiers()
    if not variant:
        raise ConfigError("braindecode is many models: write one as braindecode:EEGNet.")
    if variant not in known:
        raise UnknownName("classifier of braindecode", variant, known)
    return known[variant]


@lru_cache(maxsize=1)
def _classifiers() -> dict[str, Callable[..., nn.Module]]:
    """Classes of braindecode that score classes, by name."""
    util = import_braindecode().util
    if not util.models_dict:
        util._init_models_dict()
    both = util.models_dict | util.interpolated_models_dict
    return {name: cls for name, cls in both.items() if name not in util.non_classification_models}


@contextmanager
def _absent(name: str) -> Iterator[None]:
    """Within the block, a module that was not imported before cannot be."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system takes for that
    try:
        yield
    finally:
        del sys.modules[name]


def import_braindecode() -> ModuleType:
    """`braindecode.models`, without the two deprecation warnings of its import, and without MOABB.

    It would import MOABB, which takes a second, for the text of a docstring, and does without where
    there is none.
    """
    with warnings.catch_warnings(), _absent("moabb"):
        # braindecode 1.8 asks MNE for a montage by its old name.
        warnings.filterwarnings("ignore", "Montage name 'standard_1020'", FutureWarning)
        # wfdb, which it imports, calls pandas' set_index in place.
        warnings.filterwarnings("ignore", "The inplace keyword in DataFrame.set_index")
        import braindecode.models
    return braindecode.models  # type: ignore[no-any-return]
