"""Every classifier of braindecode, by class name.

``braindecode:EEGNet`` is braindecode's class of that name, with its own options and defaults.
The best known also go by a short name. Nothing is changed in them: what is not built here is not
described here either, see https://braindecode.org.
"""

import inspect
import logging
import warnings
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS

logger = logging.getLogger(__name__)

# braindecode repairs what does not fit and says so in a warning; these words give it away.
REPAIRS = ("adjust", "reducing", "will be padded", "rescal", "truncat")


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


def _build(variant: str, spec: TaskSpec, options: dict[str, Any]) -> nn.Module:
    """A braindecode net for these windows, tried on two of them."""
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
    given = {name: fact for name, fact in facts.items() if name in taken}
    given |= {name: _torch_class(known[name], value) for name, value in options.items()}
    import mne

    with warnings.catch_warnings(record=True) as said, mne.utils.use_log_level("warning"):
        warnings.simplefilter("always")
        try:
            net = builder(**given)
            logits = _try_out(net, spec)
        except Exception as error:  # whatever a constructor or a first pass of theirs may raise
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise SignalError(
                f"braindecode's {variant} cannot be built for {spec.n_chans} channels x "
                f"{spec.n_times} samples at {spec.sfreq:g} Hz: {reason.rstrip('.')}. "
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
    util = _import_braindecode().util
    if not util.models_dict:
        util._init_models_dict()
    both = util.models_dict | util.interpolated_models_dict
    return {name: cls for name, cls in both.items() if name not in util.non_classification_models}


def _import_braindecode() -> ModuleType:
    """`braindecode.models`, without the two deprecation warnings of its import."""
    with warnings.catch_warnings():
        # braindecode 1.8 asks MNE for a montage by its old name.
        warnings.filterwarnings("ignore", "Montage name 'standard_1020'", FutureWarning)
        # wfdb, which it imports, calls pandas' set_index in place.
        warnings.filterwarnings("ignore", "The inplace keyword in DataFrame.set_index")
        import braindecode.models
    return braindecode.models  # type: ignore[no-any-return]
