import inspect
import logging

import pytest
import torch

from neurodecode.core.errors import ConfigError, SignalError, UnknownName
from neurodecode.core.spec import TaskSpec
from neurodecode.models import MODELS, braindecode

CH_NAMES = ("Fz", "C3", "Cz", "C4", "Pz", "nowhere")
SPEC = TaskSpec(ch_names=CH_NAMES, n_times=400, sfreq=100.0, n_outputs=3)


def test_a_class_is_reached_by_its_name() -> None:
    net = MODELS.get("braindecode:EEGNeX")(SPEC)
    assert type(net).__name__ == "EEGNeX"
    assert net.eval()(torch.randn(2, 6, 400)).shape == (2, 3)


def test_listing_does_not_import_it() -> None:
    assert "eegnet" in MODELS.names()
    assert "braindecode" in MODELS.summary("eegnet")


def test_the_net_is_built_as_braindecode_builds_it() -> None:
    torch.manual_seed(0)
    ours = MODELS.get("shallow")(SPEC)
    torch.manual_seed(0)
    theirs = braindecode._class("ShallowFBCSPNet")(n_chans=6, n_times=400, n_outputs=3, sfreq=100.0)
    assert str(ours) == str(theirs)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_positions_go_with_known_names() -> None:
    info = braindecode._chs_info(SPEC)
    assert [c["ch_name"] for c in info] == list(CH_NAMES)
    x = [c["loc"][0] for c in info]
    assert x[1] < 0 < x[3]  # C3 is on the left, C4 on the right
    assert not (x[5] == x[5] and x[5] != 0)  # unknown: not a number, or the origin


def test_an_option_reaches_the_class() -> None:
    net = MODELS.get("eegnet")(SPEC, F1=4, activation="ReLU")
    assert net.F1 == 4
    assert any(isinstance(m, torch.nn.ReLU) for m in net.modules())


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("braindecode:EEGNett", {}, "No classifier of braindecode is called 'EEGNett'.*'EEGNet'"),
        ("braindecode:SignalJEPA", {}, "No classifier of braindecode is called 'SignalJEPA'"),
        ("eegnet", {"f1": 4}, "No option of braindecode's EEGNet is called 'f1'.*'F1'"),
        ("eegnet", {"activation": "Rellu"}, "No class of torch.nn is called 'Rellu'"),
    ],
)
def test_an_unknown_name_lists_the_nearest(
    model: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UnknownName, match=message):
        MODELS.get(model)(SPEC, **options)


def test_the_family_alone_is_no_model() -> None:
    with pytest.raises(ConfigError, match="write one as braindecode:EEGNet"):
        MODELS.get("braindecode")(SPEC)


def test_windows_that_do_not_fit_are_refused_in_a_line() -> None:
    short = TaskSpec(ch_names=("Cz", "Pz"), n_times=20, sfreq=250.0, n_outputs=2)
    with pytest.raises(SignalError, match="cannot be built for 2 channels x 20 samples") as caught:
        MODELS.get("eegconformer")(short)
    assert "\n" not in str(caught.value)
    assert "Use longer windows" in str(caught.value)


def test_what_braindecode_changes_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        MODELS.get("deep4")(SPEC)
    assert "braindecode's Deep4Net" in caplog.text


def test_crops_are_averaged_to_one_set_of_logits() -> None:
    net = MODELS.get("eegnet")(SPEC, final_conv_length=5).eval()
    x = torch.randn(2, 6, 400)
    torch.testing.assert_close(net(x), net.net(x).mean(dim=2))


def test_what_is_not_logits_is_refused() -> None:
    with pytest.raises(ConfigError, match="does not give one score for each of 3 classes"):
        MODELS.get("eegconformer")(SPEC, return_features=True)


def test_trying_a_net_out_draws_nothing() -> None:
    net = MODELS.get("eegnet")(SPEC)
    before = torch.random.get_rng_state()
    braindecode._try_out(net, SPEC)
    assert torch.equal(before, torch.random.get_rng_state())
    assert net.training


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant",
    ["BDTCN", "EEGITNet", "EEGSimpleConv", "EEGTCNet", "SCCNet", "TCFormer", "TIDNet", "TSception"],
)
def test_more_of_braindecode_builds(variant: str) -> None:
    spec = TaskSpec(ch_names=CH_NAMES[:5], n_times=1000, sfreq=250.0, n_outputs=2)
    assert MODELS.get(f"braindecode:{variant}")(spec).eval()(torch.randn(2, 5, 1000)).shape == (
        2,
        2,
    )


def test_every_short_name_says_which_class_it_is() -> None:
    names = [n for n in MODELS.names() if MODELS.find(n).module == braindecode.__name__]
    assert len(names) == 10
    for name in set(names) - {"braindecode"}:
        assert MODELS.summary(name).endswith("braindecode.")
        assert "spec" in inspect.signature(MODELS.get(name)).parameters
