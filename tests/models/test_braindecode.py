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


CAPS = {
    22: "Fz FC3 FC1 FCz FC2 FC4 C5 C3 C1 Cz C2 C4 C6 CP3 CP1 CPz CP2 CP4 P1 Pz P2 POz",
    19: "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2",
    1: "Cz",
}
PEERS: dict[str, dict[str, object]] = {  # as small as they can be: what they are is theirs
    "BIOT": {"num_layers": 1, "embed_dim": 32},
    "CBraMod": {"n_layer": 1},
    "EEGPT": {"depth": 1, "embed_dim": 64},
    "Labram": {"num_layers": 1},
    "REVE": {"depth": 1},
}


def window(n_chans: int, n_times: int, sfreq: float) -> TaskSpec:
    names = tuple(CAPS[n_chans].split())
    return TaskSpec(ch_names=names, n_times=n_times, sfreq=sfreq, n_outputs=2)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch  # type: ignore[import-untyped]

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError(f"a download: {args} {kwargs}")

    monkeypatch.setattr(pooch, "retrieve", refuse)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(
    ("n_chans", "n_times", "sfreq"),
    [(22, 512, 128.0), (22, 750, 250.0), (19, 500, 125.0), (1, 480, 160.0)],
)
def test_foundation_models_take_windows_of_any_rate(
    peer: str, n_chans: int, n_times: int, sfreq: float
) -> None:
    torch.manual_seed(0)
    net = MODELS.get(f"braindecode:{peer}")(window(n_chans, n_times, sfreq), **PEERS[peer]).eval()
    x = torch.randn(3, n_chans, n_times)
    logits = net(x)
    assert logits.shape == (3, 2)
    assert logits.isfinite().all()
    torch.testing.assert_close(net(x[:1]), logits[:1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("peer", ["CBraMod", "Labram", "REVE"])
def test_foundation_models_see_the_end_of_a_window(
    peer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        net = MODELS.get(f"braindecode:{peer}")(window(1, 500, 200.0), **PEERS[peer]).eval()
    left_out = 500 - net.n_times
    assert 0 < left_out < 200
    assert f"the first {left_out / 200:g} s of windows are left out" in caplog.text
    x = torch.randn(1, 1, 500)
    early, late = x.clone(), x.clone()
    early[..., :left_out] += 5
    late[..., -1] += 5
    torch.testing.assert_close(net(early), net(x))
    assert not torch.equal(net(late), net(x))


def test_so_they_do_after_resampling() -> None:
    """500 samples at 160 Hz are 625 at 200 Hz, of which three patches are the last 600."""
    net = MODELS.get("braindecode:CBraMod")(window(1, 500, 160.0), n_layer=1).eval()
    x = torch.randn(1, 1, 500)
    early, late = x.clone(), x.clone()
    early[..., :2] += 5
    late[..., -1] += 5
    torch.testing.assert_close(net(early), net(x))
    assert not torch.allclose(net(late), net(x), atol=1e-4)


def test_at_its_own_rate_nothing_is_changed() -> None:
    torch.manual_seed(0)
    ours = MODELS.get("braindecode:CBraMod")(window(19, 800, 200.0), n_layer=1)
    torch.manual_seed(0)
    theirs = braindecode._class("CBraMod")(
        n_chans=19, n_times=800, n_outputs=2, sfreq=200.0, n_layer=1
    )
    assert type(ours) is type(theirs)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("peer", ["Labram", "REVE"])
def test_a_channel_is_known_by_its_name(peer: str) -> None:
    """The same signal from another electrode is another score."""
    scores = []
    for name in ("O1", "Fz"):
        spec = TaskSpec(ch_names=("C3", name), n_times=400, sfreq=200.0, n_outputs=2)
        torch.manual_seed(0)
        net = MODELS.get(f"braindecode:{peer}")(spec, **PEERS[peer]).eval()
        for parameter in net.parameters():  # LaBraM's head starts at a thousandth
            parameter.data *= 10 if parameter.ndim > 1 else 1
        scores.append(net(torch.randn(1, 2, 400, generator=torch.Generator().manual_seed(1))))
    assert not torch.allclose(scores[0], scores[1], atol=1e-6)


def test_positions_of_reve_are_those_of_the_cap() -> None:
    """Of its published table, TP9 is at -0.0856, -0.0465, -0.0457 m."""
    places = braindecode.CapPositions()(["TP9", "tp9", "AF8"])
    torch.testing.assert_close(
        places[0], torch.tensor([-0.0856, -0.0465, -0.0457]), atol=1e-4, rtol=0
    )
    assert torch.equal(places[0], places[1])
    net = MODELS.get("braindecode:REVE")(window(19, 500, 125.0), depth=1)
    assert net.net.default_pos.shape == (19, 3)


@pytest.mark.parametrize(
    ("peer", "names", "n_times", "message"),
    [
        ("Labram", ("E1", "Cz"), 400, "knows channels by name, and E1 is none of its 128"),
        ("REVE", ("Cz", "E1"), 400, r"and E1 is none of its 3\d\d \(1 of 2 are not\)"),
        ("CBraMod", ("Cz",), 150, r"takes patches of 1 s, and windows are 0\.75 s"),
        ("REVE", ("Cz",), 150, r"takes patches of 1 s, and windows are 0\.75 s"),
    ],
)
def test_what_a_foundation_model_cannot_take_is_a_clear_line(
    peer: str, names: tuple[str, ...], n_times: int, message: str
) -> None:
    spec = TaskSpec(ch_names=names, n_times=n_times, sfreq=200.0, n_outputs=2)
    with pytest.raises(SignalError, match=message) as caught:
        MODELS.get(f"braindecode:{peer}")(spec)
    assert "\n" not in str(caught.value)


def test_a_patch_is_a_whole_number() -> None:
    with pytest.raises(ConfigError, match="Labram patch_size = 1.5 is not a whole number"):
        MODELS.get("braindecode:Labram")(window(1, 400, 200.0), patch_size=1.5)
