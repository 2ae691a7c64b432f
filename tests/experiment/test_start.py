"""Decoders that start from a pretrained backbone: how they are asked for, and what is refused."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from neurodecode.core.errors import CheckpointError, ConfigError, UnknownName
from neurodecode.epochs.epochset import EpochSet
from neurodecode.experiment.choices import resolve, to_toml
from neurodecode.experiment.fit import fit, make_plan
from neurodecode.models.mvpformer import MVPFormerBackbone
from neurodecode.results.store import load_rows
from neurodecode.training import checkpoint
from neurodecode.training.pretrained import save_pretrained

OPTIONS: dict[str, Any] = {"segment": 0.5, "sfreq": 64.0}


def pretrained(path: Path, seen: list[dict[str, str]], seed: int = 0) -> Path:
    torch.manual_seed(seed)
    save_pretrained(
        path,
        model="mvpformer",
        options=OPTIONS,
        backbone=MVPFormerBackbone(segment=0.5, sfreq=64.0),
        seen=seen,
        history=[],
        more={},
    )
    return path


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    person = {"dataset": "Elsewhere", "subject": "1", "card": "elsewhere", "role": "train"}
    return pretrained(tmp_path_factory.mktemp("start") / "backbone.safetensors", [person])


def chosen(card: Path, **flags: Any) -> dict[str, Any]:
    return resolve(
        "mi",
        flags={
            "data.dataset": [str(card)],
            "preprocess.band": [8, 30],
            "evaluation.align": ["none"],
            **{name.replace("__", "."): value for name, value in flags.items()},
        },
        sets=["train.epochs=1", "evaluation.n_folds=2"],
    )


def test_modes_are_words_in_the_place_of_the_model(card: Path, start: Path) -> None:
    given = {"pretrained__checkpoint": str(start), "pretrained__mode": ["probe", "scratch"]}
    assert chosen(card, **given)["models"] == ["mvpformer+probe", "mvpformer"]
    beside = chosen(card, **given, models=["csp_lda", "mvpformer"])
    assert beside["models"] == ["csp_lda", "mvpformer+probe", "mvpformer"]
    before = chosen(card, **given, models=["csp_lda"])
    assert before["models"] == ["mvpformer+probe", "mvpformer", "csp_lda"]
    assert before["model"]["mvpformer"]["segment"] == 0.5
    mixed = chosen(card, **given, models=["mvpformer+lora"])
    assert mixed["models"] == ["mvpformer+lora"]


def test_scratch_is_the_decoder_itself(card: Path) -> None:
    assert chosen(card, models=["mvpformer+scratch"])["models"] == ["mvpformer"]


def test_the_choices_of_a_run_say_the_same_again(card: Path, start: Path, tmp_path: Path) -> None:
    first = chosen(card, pretrained__checkpoint=str(start), pretrained__mode=["probe", "lora"])
    (tmp_path / "again.toml").write_text(to_toml(first))
    again = resolve("mi", pipeline=tmp_path / "again.toml")
    assert tomllib.loads(to_toml(again)) == tomllib.loads(to_toml(first))


def test_every_mode_fits_and_is_a_line(
    card: Path, start: Path, tmp_path: Path, loaded: EpochSet
) -> None:
    modes = ["probe", "random", "lora", "finetune", "scratch"]
    choices = chosen(card, pretrained__checkpoint=str(start), pretrained__mode=modes)
    run = fit(choices, tmp_path, n_workers=1)
    rows = load_rows([run])
    words = ["mvpformer+probe", "mvpformer+random", "mvpformer+lora", "mvpformer+finetune"]
    assert list(rows["model"].unique()) == [*words, "mvpformer"]
    n_params = rows.groupby("model")["n_params"].first()
    assert n_params["mvpformer+probe"] < n_params["mvpformer+lora"] < n_params["mvpformer"]
    key = rows.loc[rows["model"] == "mvpformer+lora", "key"].iloc[0]
    start.rename(start.with_suffix(".away"))  # a fitted decoder needs its start no more
    try:
        decoder = checkpoint.load(run.checkpoint_file(key))
    finally:
        start.with_suffix(".away").rename(start)
    assert decoder.predict_proba(loaded.x[:3]).shape == (3, 2)


def test_another_start_is_another_key(
    card: Path, start: Path, tmp_path: Path, loaded: EpochSet
) -> None:
    other = pretrained(tmp_path / "other.safetensors", [], seed=1)
    modes = ["probe", "random"]
    plans = [
        make_plan(chosen(card, pretrained__checkpoint=str(p), pretrained__mode=modes), loaded)
        for p in (start, other)
    ]
    keys = [{(job.model, job.fold.name): job.key for job in plan.jobs} for plan in plans]
    changed = {name for name, fold in keys[0] if keys[0][name, fold] != keys[1][name, fold]}
    assert changed == {"mvpformer+probe"}


def test_nobody_is_tested_whom_the_backbone_has_seen(
    card: Path, tmp_path: Path, loaded: EpochSet
) -> None:
    row = loaded.table.iloc[-1]
    seen = [{"dataset": row["dataset"], "subject": row["subject"], "role": "validation"}]
    path = pretrained(tmp_path / "seen.safetensors", seen)
    line = rf"pretrained on 1 of these people \({row['dataset']}: {row['subject']}\).*--allow-seen"
    with pytest.raises(ConfigError, match=line):
        make_plan(chosen(card, pretrained__checkpoint=str(path)), loaded)
    allowed = chosen(card, pretrained__checkpoint=str(path), pretrained__allow_seen=True)
    assert make_plan(allowed, loaded).seen == [f"{row['dataset']} {row['subject']}"]
    make_plan(chosen(card, pretrained__checkpoint=str(path), pretrained__mode=["random"]), loaded)


def test_what_cannot_start(card: Path, start: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mvpformer\+probe lacks a checkpoint to start from"):
        chosen(card, models=["mvpformer+probe"])
    with pytest.raises(ConfigError, match=r"Without one, a mode is part of a name: mvpformer\+ran"):
        chosen(card, pretrained__mode=["random"])
    with pytest.raises(ConfigError, match="lora_rank = 0 must be 1 or more"):
        chosen(card, pretrained__checkpoint=str(start), pretrained__lora_rank=0)
    with pytest.raises(ConfigError, match="csp_lda has no backbone, so it cannot be csp_lda"):
        chosen(card, models=["csp_lda+random"])
    with pytest.raises(UnknownName, match="No mode of a decoder is called 'prob'"):
        chosen(card, pretrained__checkpoint=str(start), pretrained__mode=["prob"])
    with pytest.raises(ConfigError, match="is a pretrained mvpformer; deeperbrain"):
        chosen(card, pretrained__checkpoint=str(start), models=["deeperbrain+probe"])
    with pytest.raises(ConfigError, match=r"segment = 1\.0, but .* was pretrained with 0\.5"):
        resolve(
            "mi",
            flags={"data.dataset": [str(card)], "pretrained.checkpoint": str(start)},
            sets=["model.mvpformer.segment=1.0"],
        )
    with pytest.raises(CheckpointError, match="There is no checkpoint at nowhere"):
        chosen(card, pretrained__checkpoint="nowhere.safetensors")
    whole = start.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        chosen(card, pretrained__checkpoint=str(tmp_path / "half.safetensors"))
    save_pretrained(
        tmp_path / "shape.safetensors", model="mvpformer", options={**OPTIONS, "segment": 1.0},
        backbone=MVPFormerBackbone(**OPTIONS), seen=[], history=[], more={},
    )  # fmt: skip
    with pytest.raises(CheckpointError, match=r"weight is \(32,\), not \(64,\), and 1 more"):
        chosen(card, pretrained__checkpoint=str(tmp_path / "shape.safetensors"))
    save_file({"conv.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"none of a published mvpformer.*conv\.weight"):
        chosen(card, pretrained__checkpoint=str(tmp_path / "other.safetensors"))


def test_published_weights_say_how_many_were_loaded(
    card: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from neurodecode.models.braindecode import import_braindecode

    net = import_braindecode().MVPFormer(
        n_outputs=2, n_chans=3, n_times=256, sfreq=128, segment_len=128, d_model=128, n_layers=4,
        n_heads=4, n_head_kv=2, d_inner=288,
    )  # fmt: skip
    save_file(
        {k: v.contiguous().clone() for k, v in net.state_dict().items()},
        tmp_path / "published.safetensors",
    )
    choices = chosen(
        card,
        pretrained__checkpoint=str(tmp_path / "published.safetensors"),
        pretrained__mode=["probe"],
    )
    assert choices["model"]["mvpformer"] == {"size": "tiny", "published": True}
    assert "all 49 tensors" in caplog.text
