import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toy_backbone import ToyBackbone, toy_pool

from neurodecode.core.errors import ConfigError, FitError, SignalError
from neurodecode.epochs.stretches import Stretch
from neurodecode.training.draws import Draws, Windows, held_out_windows
from neurodecode.training.pretrain import Trained, pretrain_backbone, window_samples

HOW: dict[str, Any] = {
    "window": 2.0,
    "batch_size": 8,
    "validate_every": 20,
    "validation_windows": 8,
    "device": "cpu",
}


def counted(n_chans: int, n_samples: int, subject: str = "1") -> Stretch:
    """Every value says its channel (thousands) and its sample."""
    x = 1000.0 * np.arange(n_chans)[:, None] + np.arange(n_samples)
    places = np.repeat(np.arange(n_chans, dtype=np.float32)[:, None], 3, axis=1)
    return Stretch(x=x.astype(np.float32), positions=places, dataset="d", subject=subject)


def draws(pool: dict[str, list[Stretch]], **how: Any) -> Draws:
    return Draws(pool, **{"n_times": 20, "batch_size": 16, "n_batches": 50, "seed": 0, **how})


def same(a: Windows, b: Windows) -> bool:
    return all(
        torch.equal(x.nan_to_num(), y.nan_to_num()) if isinstance(x, Tensor) else x == y
        for x, y in zip(a, b, strict=True)
    )


def test_a_batch_is_a_function_of_its_number() -> None:
    pool = {"a": [counted(4, 60)], "b": [counted(6, 90), counted(6, 40)]}
    first, second = draws(pool), draws(pool)
    later = second[7]  # nothing was drawn before
    assert same([first[k] for k in range(8)][7], later)
    assert not torch.equal(first[6].x, later.x)
    assert not same(draws(pool, rank=1)[7], later)
    assert not same(draws(pool, seed=1)[7], later)


def test_windows_lie_within_their_stretch_and_reach_both_ends() -> None:
    pool = {"a": [counted(2, 23)]}
    firsts = torch.cat([draws(pool)[k].x[:, 0, 0] for k in range(8)])
    assert set(firsts.tolist()) == {0, 1, 2, 3}
    x = draws(pool)[0].x
    assert torch.equal(x[:, 0].diff(dim=1), torch.ones(16, 19))
    assert torch.equal(x[:, 1] - x[:, 0], torch.full((16, 20), 1000.0))


def test_data_sets_are_drawn_by_their_duration_or_alike() -> None:
    pool = {"long": [counted(2, 919)] * 3, "short": [counted(2, 319)]}  # 2700 and 300 starts
    for sampling, share in (("duration", 0.9), ("equal", 0.5)):
        one = draws(pool, sampling=sampling, n_batches=400)
        names = [one[k].dataset for k in range(400)]
        assert names.count("long") / 400 == pytest.approx(share, abs=0.08)


def test_a_mixed_batch_is_padded_and_says_what_is_there() -> None:
    pool = {"a": [counted(2, 60)], "b": [counted(5, 60)]}
    batch = draws(pool, batches="mixed")[0]
    assert batch.dataset == "all"
    assert batch.present is not None
    assert set(batch.present.sum(dim=1).tolist()) == {2, 5}
    assert (batch.x[~batch.present] == 0).all()
    assert batch.positions[~batch.present].isnan().all()
    assert batch.positions[batch.present].isfinite().all()
    assert draws(pool)[0].present is None  # one data set, one montage


def test_channels_over_the_limit_are_neighbours_and_keep_their_places() -> None:
    batch = draws({"a": [counted(9, 60)]}, max_chans=4)[0]
    assert batch.x.shape == (16, 4, 20)
    first = (batch.x[:, 0, 0] // 1000).int()
    assert len(set(first.tolist())) > 3
    for i in range(4):
        assert torch.equal((batch.x[:, i, 0] // 1000).int(), first + i)
        assert torch.equal(batch.positions[:, i, 0].int(), first + i)


def test_held_out_windows_are_always_the_same_and_of_one_data_set_each() -> None:
    pool = {"a": [counted(4, 60)], "none": [], "b": [counted(6, 90)]}
    how: dict[str, Any] = {"n_times": 20, "batch_size": 4, "n_windows": 6, "seed": 3}
    one, two = held_out_windows(pool, **how), held_out_windows(pool, **how)
    assert [w.dataset for w in one] == ["a", "a", "b", "b"]
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


def train(tmp_path: Path, backbone: ToyBackbone | None = None, **how: Any) -> Trained:
    torch.manual_seed(0)
    return pretrain_backbone(
        backbone or ToyBackbone(), toy_pool(0), toy_pool(1), tmp_path, **{**HOW, **how}
    )


def test_it_learns_and_keeps_the_curve(tmp_path: Path) -> None:
    trained = train(tmp_path, steps=100, lr=1e-2)
    rows = trained.rows
    validation = [r for r in rows if r["part"] == "validation"]
    assert {r["dataset"] for r in validation} == {"a", "b", "all"}
    whole = [r for r in validation if r["dataset"] == "all"]
    assert [r["step"] for r in whole] == [20, 40, 60, 80, 100]
    assert whole[-1]["loss"] < 0.6 * whole[-1]["of_nothing"]
    assert whole[-1]["n_windows"] == 16
    assert [r["step"] for r in rows if r["part"] == "train"] == list(range(10, 101, 10))
    rates = [r["lr"] for r in rows if r["part"] == "train"]
    assert rates[0] == max(rates)  # warm-up is over after a tenth
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_the_best_weights_are_those_of_the_best_validation(tmp_path: Path) -> None:
    best = train(tmp_path / "a", steps=60, lr=1.0, clip=1e3)  # too fast: it gets worse again
    losses = {
        r["step"]: r["loss"]
        for r in best.rows
        if r["part"] == "validation" and r["dataset"] == "all"
    }
    assert best.step == min(losses, key=lambda step: losses[step])
    last = train(tmp_path / "b", steps=60, lr=1.0, clip=1e3, keep="last")
    assert (last.step, last.n_steps) == (60, 60)
    same = all(torch.equal(best.weights[n], last.weights[n]) for n in last.weights)
    assert same == (best.step == 60)


def test_without_held_out_people_the_last_weights_are_kept(tmp_path: Path) -> None:
    trained = pretrain_backbone(ToyBackbone(), toy_pool(0), {}, tmp_path, steps=5, **HOW)
    assert trained.step == 5
    assert {row["part"] for row in trained.rows} == {"train"}


def test_an_end_is_in_steps_epochs_or_minutes(tmp_path: Path) -> None:
    # 6 stretches of 20 s hold 60 windows of 2 s: 7.5 batches of 8.
    assert train(tmp_path / "a", epochs=1).n_steps == 8
    assert train(tmp_path / "b", epochs=1, steps=3).n_steps == 3
    short = train(tmp_path / "c", minutes=0.3 / 60, validate_every=1000)
    assert short.seconds == pytest.approx(0.3, abs=0.5)
    assert short.rows[-1]["part"] == "validation"
    with pytest.raises(ConfigError, match="--steps, --epochs or --minutes"):
        train(tmp_path / "d")


def test_a_loss_that_is_no_number_stops_it(tmp_path: Path) -> None:
    class Broken(ToyBackbone):
        def pretext(self) -> nn.Module:
            pretext = super().pretext()
            forward = pretext.forward
            pretext.forward = lambda *w: {"loss": forward(*w)["loss"] * math.nan}  # type: ignore[method-assign]
            return pretext

    with pytest.raises(FitError, match="became nan at step 10. Lower train.lr"):
        train(tmp_path, Broken(), steps=20)


def test_the_backbone_limits_channels(tmp_path: Path) -> None:
    train(tmp_path, ToyBackbone(max_chans=3), steps=2)  # it would refuse 4 and 7


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fewer than two segments of 0.25 s"):
        window_samples(ToyBackbone(), 0.49)
    assert window_samples(ToyBackbone(), 0.51) == 32  # whole segments
    with pytest.raises(SignalError, match="Hold fewer people out"):
        pretrain_backbone(ToyBackbone(), {"a": []}, toy_pool(0), tmp_path, steps=2, **HOW)
    for strategy, words in (("dp", "invalid strategy"), ("fsdp", "requires a GPU")):
        with pytest.raises(ConfigError, match=f"{words}.*Use --strategy auto"):
            train(tmp_path, steps=2, strategy=strategy)


def test_the_callers_random_state_is_left_alone(tmp_path: Path) -> None:
    backbone = ToyBackbone()
    before = torch.get_rng_state()
    pretrain_backbone(backbone, toy_pool(0), {}, tmp_path, steps=2, **HOW)
    assert torch.equal(torch.get_rng_state(), before)


TWO = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from toy_backbone import ToyBackbone, toy_pool
from neurodecode.training.pretrain import is_leader, pretrain_backbone
torch.manual_seed(0)
trained = pretrain_backbone(
    ToyBackbone(), toy_pool(0), toy_pool(1), Path({folder!r}), steps=12, window=2.0, batch_size=4,
    validate_every=10, validation_windows=4, save_every=0.0, device="cpu", strategy="ddp",
    devices=2,
)
total = sum(float(w.double().sum()) for w in trained.weights.values())
sys.stdout.write(f"{{is_leader()}} {{trained.n_steps}} {{total!r}}\\n")
"""


@pytest.mark.slow
@pytest.mark.timeout(300)  # each process imports torch and Lightning anew
def test_two_processes_train_one_backbone(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    folder = tmp_path / "states"
    script.write_text(TWO.format(tests=str(Path(__file__).parents[1]), folder=str(folder)))
    run = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=280, check=False
    )
    assert run.returncode == 0, run.stderr
    lines = sorted(line.split() for line in run.stdout.splitlines())
    assert [line[0] for line in lines] == ["False", "True"]
    assert lines[0][1:] == lines[1][1:]  # the same weights in both
    assert len(list(folder.iterdir())) == 2
