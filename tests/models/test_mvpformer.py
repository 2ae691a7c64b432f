"""MVPFormer: sizes, streams, what it learns of a planted signal, and the published weights."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from neurodecode.core.errors import CheckpointError, ConfigError, SignalError
from neurodecode.core.spec import TaskSpec
from neurodecode.models.braindecode import import_braindecode
from neurodecode.models.mvpformer import MVPFormerBackbone, MVPFormerState, NextSegment, mvpformer
from neurodecode.models.mvpformer_weights import load_published, published_options
from neurodecode.nn.lora import add_lora
from neurodecode.recordings.synthetic import Synthetic
from neurodecode.training.transfer import read_start

TINY = {"segment_len": 128, "d_model": 128, "n_layers": 4, "n_heads": 4, "n_head_kv": 2}
SMALL = {"segment_len": 2560, "d_model": 768, "n_layers": 12, "n_heads": 12, "n_head_kv": 4}


def spec(n_chans: int = 3, n_times: int = 512, **more: Any) -> TaskSpec:
    names = tuple(f"E{i}" for i in range(n_chans))
    return TaskSpec(ch_names=names, n_times=n_times, sfreq=128.0, n_outputs=2, **more)


def signal(*shape: int, seed: int = 0) -> Tensor:
    return 20 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def places(n_chans: int) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return 0.095 * nn.functional.normalize(torch.randn(n_chans, 3, generator=draw), dim=1)


def built(**options: Any) -> MVPFormerBackbone:
    torch.manual_seed(0)
    return MVPFormerBackbone(**options).eval()


def n_params(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("size", "millions", "adapters"), [("small", 73.578, 245_760), ("medium", 1239.086, 1_376_256)]
)
def test_published_sizes(size: Any, millions: float, adapters: int) -> None:
    with torch.device("meta"):
        net = MVPFormerBackbone(size=size, published=True)
        assert round(n_params(net) / 1e6, 3) == millions
        add_lora(net, net.lora_targets)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == adapters


def test_the_past_does_not_know_the_future() -> None:
    net = built()
    x = signal(1, 3, 5 * 128)
    later = x.clone()
    later[..., 3 * 128 :] += 50
    torch.testing.assert_close(net(x)[:, :3], net(later)[:, :3])
    assert not torch.allclose(net(x)[:, 3:], net(later)[:, 3:], atol=1e-3)


@pytest.mark.parametrize("geometry", ["index", "position", "auto"])
def test_segment_by_segment_is_the_whole(geometry: Any) -> None:
    net = built(geometry=geometry)
    x, where = signal(2, 4, 7 * 128), places(4)
    if geometry == "auto":
        where[2] = torch.nan
    present = torch.tensor([[True] * 4, [True] * 3 + [False]])
    tokens, state = [], None
    for segment in torch.split(x, 128, dim=2):
        out, state = net.step(segment, state, present, where)
        assert out.shape == (2, 1, 4, 128)
        tokens.append(out)
    torch.testing.assert_close(torch.cat(tokens, 1), net(x, present, where), atol=1e-4, rtol=1e-4)


def test_a_stream_remembers_so_many_segments_and_no_more() -> None:
    net, x = built(), signal(1, 2, 12 * 128)
    state: MVPFormerState | None = None
    lengths = []
    for segment in torch.split(x, 128, dim=2):
        out, state = net.step(segment, state, memory=4)
        lengths.append(state.caches[0].key.shape[2])
    assert max(lengths) == 3  # and the one at hand
    assert out.isfinite().all()
    short = [
        net.step(segment, None, memory=4)[0] for segment in torch.split(x[..., :128], 128, dim=2)
    ]
    torch.testing.assert_close(short[0], net(x[..., :128]), atol=1e-5, rtol=1e-5)


def test_the_published_net_cannot_stream() -> None:
    with pytest.raises(ConfigError, match="no longer the last"):
        built(published=True).step(signal(1, 2, 128))


def test_positions_make_the_order_of_channels_meaningless() -> None:
    x, where, turn = signal(2, 5, 256), places(5), torch.tensor([3, 0, 4, 2, 1])
    for geometry in ("auto", "position"):
        net = built(geometry=geometry)
        torch.testing.assert_close(
            net(x, None, where)[:, :, turn], net(x[:, turn], None, where[turn]),
            atol=1e-5, rtol=1e-5,
        )  # fmt: skip
    by_index = built(geometry="index")
    assert not torch.allclose(by_index(x)[:, :, turn], by_index(x[:, turn]), atol=1e-4)


def test_unknown_pairs_are_told_apart_by_their_place_in_the_array() -> None:
    net, x = built(), signal(1, 4, 256)
    nn.init.normal_(net.tables.space)
    turn = torch.tensor([1, 0, 2, 3])
    assert not torch.allclose(net(x)[:, :, turn], net(x[:, turn]), atol=1e-3)


@pytest.mark.parametrize("amplitude", [True, False])
def test_only_with_amplitude_does_gain_matter(amplitude: bool) -> None:
    net, x = built(amplitude=amplitude), signal(2, 3, 256)
    same = torch.allclose(net(x), net(5 * x), atol=1e-4)
    assert same is not amplitude


def planted(n: int, n_segments: int, segment: int, seed: int = 0) -> Tensor:
    """Rhythms whose phase turns by a sixth of a circle in each segment, and drifts.

    So the next segment is predictable and resembles this one by half; the one after it is less so.
    """
    rng = np.random.default_rng(seed)
    turn = np.exp(1j * np.pi / 3)
    z = rng.standard_normal((n, 2, n_segments, 8, 2)) @ np.array([1, 1j])
    for t in range(1, n_segments):
        z[:, :, t] = 0.95 * turn * z[:, :, t - 1] + np.sqrt(1 - 0.95**2) * z[:, :, t]
    waves = np.exp(2j * np.pi * np.outer(np.arange(1, 9), np.arange(segment)) / segment)
    x = (z @ waves).real.reshape(n, 2, n_segments * segment)
    return torch.tensor(6 * x + rng.standard_normal(x.shape), dtype=torch.float32)


def test_it_learns_what_comes_next_and_beats_copying() -> None:
    """One step ahead is nearer than two, two nearer than any, and the last segment is no answer."""
    task = NextSegment(built(segment=0.5)).train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=2e-3)
    for step in range(12):
        optimizer.zero_grad()
        draw = torch.Generator().manual_seed(step)
        task(planted(8, 6, 64, seed=step), generator=draw)["loss"].backward()
        optimizer.step()
    with torch.inference_mode():
        draw = torch.Generator().manual_seed(0)
        after = task.eval()(planted(24, 6, 64, seed=999), generator=draw)
    assert after["cos_next"] > after["cos_next2"] + 0.1
    assert after["cos_next2"] > after["cos_random"] + 0.1
    assert after["accuracy"] > after["copy_accuracy"] + 0.1
    assert after["loss"] < after["copy_loss"] - 0.2


def test_two_segments_are_enough_to_learn_from_and_one_is_not() -> None:
    task = NextSegment(built())
    scalars = task(signal(2, 1, 256))
    assert scalars["loss"].isfinite()
    assert scalars["cos_next2"].isnan()
    with pytest.raises(SignalError, match="Windows of 1 segment and 2 tokens"):
        task(signal(2, 1, 128))


def test_noise_cannot_be_predicted() -> None:
    with torch.inference_mode():
        scalars = NextSegment(built(amplitude=False)).eval()(
            signal(8, 4, 6 * 128), generator=torch.Generator().manual_seed(0)
        )
    assert abs(float(scalars["copy_accuracy"]) - 1 / 31) < 0.04
    assert abs(float(scalars["cos_next"])) < 0.1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"published": True, "amplitude": True}, "knows neither positions nor amplitudes"),
        ({"published": True, "geometry": "position"}, "knows neither positions nor amplitudes"),
        ({"segment": 0.05}, "segment of 6 samples is shorter than a wavelet"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        MVPFormerBackbone(**options)


def test_geometry_by_position_needs_positions() -> None:
    with pytest.raises(SignalError, match="these windows have none"):
        mvpformer(spec(), geometry="position")
    with pytest.raises(SignalError, match="needs the positions of 2 electrodes"):
        built(geometry="position")(signal(1, 2, 256))


def test_windows_that_are_too_long_are_refused_when_built() -> None:
    with pytest.raises(SignalError, match="111 segments of 1 s is longer than the 110"):
        mvpformer(spec(n_times=111 * 128))


def test_too_many_channels_are_refused_when_built() -> None:
    with pytest.raises(SignalError, match="129 channels are more than the 128"):
        mvpformer(spec(n_chans=129))
    where = tuple(tuple(p) for p in places(129).tolist())
    net = mvpformer(spec(n_chans=129, positions=where), geometry="position")
    assert net(signal(1, 129, 512)).isfinite().all()


def peer(n_chans: int, n_segments: int, **sizes: Any) -> nn.Module:
    """braindecode's net with random weights."""
    torch.manual_seed(0)
    n_times = n_segments * sizes["segment_len"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net: nn.Module = import_braindecode().MVPFormer(
            n_outputs=2, n_chans=n_chans, n_times=n_times, sfreq=sizes["segment_len"], **sizes
        )
    return net.eval()


@pytest.fixture
def published(tmp_path: Path) -> tuple[nn.Module, Path]:
    """A net of braindecode's, large weights, and a file of them."""
    net, path = peer(5, 13, **TINY, d_inner=288), tmp_path / "published.safetensors"
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(1.5)
    save_file(net.state_dict(), path)
    return net, path


def test_published_weights_give_braindecodes_features(published: tuple[nn.Module, Path]) -> None:
    """Thirteen segments: more than the content window, which the last segment does not mind."""
    net, path = published
    ours = built(published=True)
    start = read_start(str(path))
    start.into(ours)
    x = signal(2, 5, 13 * 128)
    expected = net(x, return_features=True)["features"]
    torch.testing.assert_close(ours(x)[:, -1].mean(dim=1), expected, atol=1e-5, rtol=1e-5)
    assert "all 49 tensors, 756,250 parameters; left out: final_layer.weight." in str(start)
    assert "only be used for research" in str(start)
    assert n_params(ours) == 756_250


@pytest.mark.slow
def test_published_small_gives_braindecodes_features(tmp_path: Path) -> None:
    net, path = peer(3, 12, **SMALL, d_inner=1728), tmp_path / "small.safetensors"
    save_file(net.state_dict(), path)
    ours = built(size="small", published=True)
    read_start(str(path)).into(ours)
    x = signal(1, 3, 12 * 2560)
    with torch.inference_mode():
        expected = net(x, return_features=True)["features"]
        torch.testing.assert_close(ours(x)[:, -1].mean(dim=1), expected, atol=1e-5, rtol=1e-5)


def test_the_authors_own_names_are_understood(
    published: tuple[nn.Module, Path], tmp_path: Path
) -> None:
    net, path = published
    theirs = {
        name.replace("blocks.", "mvpformer.h.")
        .replace("patch_embed.", "encoder.")
        .replace("final_layer.", "head.head."): value
        for name, value in net.state_dict().items()
    }
    theirs = {
        f"mvpformer.{n}" if n.startswith(("ln_f", "positional", "channel_emb")) else n: value
        for n, value in theirs.items()
    } | {"seizure_embeddings": torch.zeros(3, 128), "mvpformer.h.0.ln_2.weight": torch.ones(128)}
    save_file(theirs, tmp_path / "ibm.safetensors")
    first, second = built(published=True), built(published=True)
    read_start(str(path)).into(first)
    start = read_start(str(tmp_path / "ibm.safetensors"))
    start.into(second)
    assert len(start.header["left_out"]) == 3
    x = signal(1, 2, 256)
    assert torch.equal(first(x), second(x))


def test_a_decoder_begins_with_published_weights(published: tuple[nn.Module, Path]) -> None:
    net, path = published
    decoder = mvpformer(spec(), published=True, pool="last").eval()
    read_start(str(path)).into(decoder.backbone)
    x = signal(2, 3, 512)
    expected = net(x, return_features=True)["features"]
    torch.testing.assert_close(decoder.features(x), expected, atol=1e-5, rtol=1e-5)


def test_options_are_known_from_the_weights(published: tuple[nn.Module, Path]) -> None:
    weights, _ = load_published(published[1])
    assert published_options(weights) == {"size": "tiny", "published": True}
    assert published_options({**weights, "norm.weight": torch.ones(3)}) is None


def refused(path: Path, change: dict[str, Tensor | None]) -> str:
    """The line for a file in which some tensors are other ones, or left out."""
    tensors = {k: v for k, v in (load_file(path) | change).items() if v is not None}
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as error:
        read_start(str(path))
    return str(error.value)


def test_weights_that_do_not_fit_are_refused_when_they_are_read(
    published: tuple[nn.Module, Path],
) -> None:
    _, path = published
    short: dict[str, Tensor | None] = {
        "patch_embed.ln.weight": torch.ones(12),
        "patch_embed.proj.weight": torch.zeros(128, 12),
    }
    assert "coefficients_norm.weight is (12,), not (154,), and 1 more" in refused(path, short)
    adapters: dict[str, Tensor | None] = {"mvpformer.h.0.attn.q_attn.lora_A": torch.zeros(8, 128)}
    assert "Merge its adapters first" in refused(path, adapters)


def test_weights_that_are_missing_are_refused_when_they_are_read(
    published: tuple[nn.Module, Path],
) -> None:
    line = refused(published[1], {"blocks.2.mlp.up_proj.weight": None})
    assert "do not fit mvpformer" in line
    assert "blocks.2.up.weight is missing" in line


def test_weights_of_no_size_of_ours_are_refused(published: tuple[nn.Module, Path]) -> None:
    line = refused(published[1], {"ln_f.weight": torch.ones(96)})
    assert "weights of no size of mvpformer that is known" in line


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"There is no checkpoint at .*nowhere\.safetensors"):
        read_start(str(tmp_path / "nowhere.safetensors"))
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        read_start(str(tmp_path / "text.safetensors"))


def test_the_hub_is_asked_through_braindecode(
    published: tuple[nn.Module, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    peers = import_braindecode().MVPFormer
    monkeypatch.setattr(peers, "from_pretrained", lambda name: published[0])
    start = read_start("braindecode/some-net")
    assert start.options == {"size": "tiny", "published": True}

    def offline(name: str) -> nn.Module:
        raise OSError("We couldn't\nconnect")

    monkeypatch.setattr(peers, "from_pretrained", offline)
    with pytest.raises(CheckpointError, match=r"OSError: We couldn't connect\)\. Install"):
        read_start("braindecode/another-net")


def test_the_next_segment_of_an_unseen_person_is_predicted_better_than_by_copying() -> None:
    def windows(subject: int) -> Tensor:
        dataset = Synthetic(
            paradigm="state",
            n_subjects=3,
            n_sessions=1,
            n_trials=4,
            sfreq=64.0,
            artifacts=False,
            cache=False,
        )
        (runs,) = dataset.get_data([subject])[subject].values()
        x = torch.as_tensor(1e6 * next(iter(runs.values())).get_data("eeg"), dtype=torch.float32)
        n = x.shape[1] // 256
        return x[:8, : 256 * n].view(8, n, 256).transpose(0, 1)

    torch.manual_seed(0)
    pretext = MVPFormerBackbone(sfreq=64.0, segment=0.5, dropout=0.0).pretext()
    optimizer = torch.optim.AdamW(pretext.parameters(), lr=2e-3)
    learned, unseen = torch.cat([windows(1), windows(2)]), windows(3)
    for step in range(30):
        order = torch.randperm(len(learned))[:8]
        optimizer.zero_grad()
        pretext(learned[order], None, None, torch.Generator().manual_seed(step))["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        said = pretext.eval()(unseen[:16], None, None, torch.Generator().manual_seed(0))
    assert said["loss"] < said["copy_loss"]
    assert said["accuracy"] > 2 * said["copy_accuracy"]
