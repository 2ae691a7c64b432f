from pathlib import Path

import pytest

from neurodecode.core.errors import ConfigError, UnknownName
from neurodecode.core.places import shared_folder
from neurodecode.experiment.choices import paradigm_of, parse_value, read_pipeline, resolve, to_toml
from neurodecode.experiment.denoise_choices import resolve_denoise
from neurodecode.experiment.pretrain_choices import resolve_pretrain
from neurodecode.recordings.cards import PARADIGMS, card_names, find_card

PIPELINES = sorted(shared_folder("pipelines").rglob("*.toml"))


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_every_paradigm_has_its_pipeline(paradigm: str) -> None:
    choices = resolve(paradigm)
    assert choices["paradigm"] == paradigm
    assert choices["models"]


@pytest.mark.parametrize("path", PIPELINES, ids=lambda p: p.stem)
def test_every_pipeline_file_resolves_and_opens_with_its_question(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert "?" in path.read_text().split("\n\n")[0]
    if path.stem == "denoise":
        resolve_denoise(pipeline=path)
    elif paradigm_of("mi", pipeline=path) == "pretrain":
        resolve_pretrain(pipeline=path)
    else:
        resolve(path.stem if path.stem in PARADIGMS else "mi", pipeline=path)


@pytest.mark.parametrize("name", card_names())
def test_every_card_is_complete(name: str) -> None:
    card = find_card(name, paradigm="mi")
    assert card.name == name
    assert card.description
    assert card.licence
    assert card.source["kind"] in ("moabb", "files", "bids", "synthetic", "synthetic_ieeg", "swec")


def test_later_places_win(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text("[preprocess]\nband = [4.0, 40.0]\nnotch = 50.0\n[evaluation]\nseeds = 3\n")
    choices = resolve(
        "mi",
        pipeline=file,
        sets=["preprocess.notch=60", "evaluation.seeds=5"],
        flags={"evaluation.seeds": 7, "data.events": None},
    )
    assert choices["preprocess"]["band"] == [4.0, 40.0]
    assert choices["preprocess"]["notch"] == 60
    assert choices["evaluation"]["seeds"] == 7
    assert choices["preprocess"]["filter"] == "zero-phase"


def test_a_card_brings_its_classes() -> None:
    choices = resolve("mi", flags={"data.dataset": ["eegmmidb13"]})
    assert choices["data"]["events"] == ["hands", "feet"]


def test_what_was_resolved_resolves_to_itself(tmp_path: Path) -> None:
    choices = resolve("mi", sets=["model.csp_lda.n_patterns=4"])
    (tmp_path / "config.toml").write_text(to_toml(choices))
    again = resolve("mi", pipeline=tmp_path / "config.toml")
    assert to_toml(again) == to_toml(choices)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("1e-3", 0.001), ("[8, 30]", [8, 30]), ("average", "average"),
     ("['C3','C4']", ["C3", "C4"]), ("true", True), ("(1, 2)", [1, 2])],
)  # fmt: skip
def test_values_are_read_as_people_write_them(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["preproces.notch=50"], "No section is called 'preproces'. Did you mean 'preprocess'"),
        (["preprocess.nothc=50"], r"No option of \[preprocess\] .* Did you mean 'notch'"),
        (["preprocess.notch"], "lacks a value"),
        (["preprocess.band=8"], r"band = 8 is not"),
        (["evaluation.protocol=loso"], "is not one of 'within-session'"),
        (["models=['csp_ldda']"], "Did you mean 'csp_lda'"),
        (["model.csp_lda.n_pattern=3"], "Did you mean 'n_patterns'"),
        (["model.eegnet.x=3"], "No model of this run is called 'eegnet'"),
        (["data.dataset=sinthetic"], "Did you mean 'synthetic'"),
        (["data.dataset=bonn"], "is for --paradigm seizure, not mi"),
        (["train.epoch=3"], "Did you mean 'epochs'"),
    ],
)
def test_mistakes_are_told_before_anything_loads(sets: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        resolve("mi", sets=sets)


def test_an_unknown_paradigm_is_told_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'p300'"):
        resolve("p30")


def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no pipeline file"):
        read_pipeline(tmp_path / "missing.toml")
    (tmp_path / "x.toml").write_text("= broken")
    with pytest.raises(ConfigError, match="is not a pipeline file"):
        read_pipeline(tmp_path / "x.toml")
    (tmp_path / "y.toml").write_text("[trian]\nepochs = 3\n")
    with pytest.raises(UnknownName, match="Did you mean 'train'"):
        read_pipeline(tmp_path / "y.toml")
