"""Maps of a run: what is kept, what is averaged, and what is said of them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError
from scipy import stats

from neurodecode.core.errors import StoreError
from neurodecode.results import maps
from neurodecode.results.maps import FoldMaps
from neurodecode.results.store import Run

NAMES = ["C3", "Cz", "C4"]


def fold(subject: str, values: Any, *, seed: int = 0, kind: str = "chan", **facts: Any) -> FoldMaps:
    return FoldMaps(
        facts={
            "key": f"{subject}-{seed}", "model": "toy", "align": "none", "clean": "none",
            "fold": f"subject={subject}", "subject": subject, "session": "0", "seed": seed,
            "score": 0.8, "classes": ["left", "right"], "ch_names": NAMES, "times": [0.5, 1.5],
            "freqs": [10.0, 20.0], "positions": None, "checks": {},
            "methods": {"toy": {"unit": "logit", "signed": True}}, **facts,
        },
        tensors={f"toy/{kind}": np.asarray(values, dtype=np.float32)},
    )  # fmt: skip


ONE, TWO = [[1, 0, 3], [2, 2, 0]], [[3, 2, 3], [2, 0, 0]]


def test_what_was_kept_is_read(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    maps.write_maps(run, fold("1", ONE))
    run.describe("", {"folds": ["1-0", "never finished"]})
    (read,) = maps.read_all_maps(run)
    assert read.facts["subject"] == "1"
    np.testing.assert_array_equal(read.get("toy", "chan"), ONE)
    assert read.get("toy", "time") is None


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device")

    monkeypatch.setattr(maps, "save_file", full)
    with pytest.raises(StoreError, match="No space left"):
        maps.write_maps(Run(tmp_path / "run"), fold("1", ONE))


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 64])
def test_a_damaged_file_is_said_and_passed_over(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path / "run")
    maps.write_maps(run, fold("1", ONE))
    maps.maps_file(run, "1-0").write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert maps.read_maps(run, "1-0") is None
    assert "cannot be read" in caplog.text


def test_maps_of_the_recordings_are_apart_from_those_of_folds(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    maps.write_maps(run, fold("1", ONE))
    maps.write_maps(run, fold("1", TWO, key=maps.data_file(run, "1").stem))
    run.describe("", {"folds": ["1-0"]})
    (data,) = maps.read_data_maps(run)
    np.testing.assert_array_equal(data.get("toy", "chan"), TWO)
    assert len(maps.read_all_maps(run)) == 1


@pytest.mark.parametrize("text", [None, "", "[]", "{"])
def test_a_run_without_a_summary_says_what_to_do(tmp_path: Path, text: str | None) -> None:
    run = Run(tmp_path / "run")
    if text is not None:
        maps.summary_file(run).parent.mkdir(parents=True)
        maps.summary_file(run).write_text(text)
    with pytest.raises(StoreError, match="neurodecode explain run"):
        maps.read_summary(run)


def test_a_subject_with_more_seeds_counts_once() -> None:
    folds = [fold("1", ONE), fold("1", ONE, seed=1), fold("1", ONE, seed=2), fold("2", TWO)]
    mean, _, n = maps.mean_maps(folds, "toy", "chan")
    assert n == 2
    np.testing.assert_allclose(mean, (np.array(ONE) + TWO) / 2)


def test_folds_of_several_subjects_are_units_of_their_own() -> None:
    folds = [fold("*", ONE, fold="a"), fold("*", TWO, fold="b")]
    assert maps.mean_maps(folds, "toy", "chan")[2] == 2


def test_a_class_without_windows_in_one_subject_is_that_of_the_others() -> None:
    gap = np.array(ONE, dtype=float)
    gap[0] = np.nan
    mean, sd, _ = maps.mean_maps([fold("1", gap), fold("2", TWO)], "toy", "chan")
    np.testing.assert_allclose(mean[0], TWO[0])
    assert np.isnan(sd[0]).all()
    assert np.isfinite(sd[1]).all()


def test_shares_are_of_magnitudes_and_sum_to_1() -> None:
    shares = maps.shares(np.array([[1.0, -3.0], [0.0, 0.0]]))
    np.testing.assert_allclose(shares, [[0.25, 0.75], [0, 0]])


def test_a_table_has_a_line_for_each_place_in_order() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    table = maps.map_table([fold("1", values, kind="chan_freq")], "toy", "chan_freq")
    assert list(table.columns) == ["class", "chan", "freq", "mean", "sd", "low", "high", "n"]
    line = table[(table["class"] == "right") & (table["chan"] == "Cz") & (table["freq"] == 20)]
    assert line["mean"].item() == values[1, 1, 1]


def test_both_axes_of_a_matrix_have_names() -> None:
    values = np.arange(18.0).reshape(2, 3, 3)
    table = maps.map_table([fold("1", values, kind="chan_chan")], "toy", "chan_chan")
    line = table[(table["class"] == "left") & (table["chan"] == "C3")]
    assert dict(zip(line["other_chan"], line["mean"], strict=True)) == {"C3": 0, "Cz": 1, "C4": 2}


def test_the_interval_is_students_over_subjects() -> None:
    people = [fold(str(i), np.full((2, 3), value)) for i, value in enumerate((1.0, 2.0, 4.0, 5.0))]
    line = maps.map_table(people, "toy", "chan").iloc[0]
    low, high = stats.t.interval(0.95, 3, loc=3.0, scale=stats.sem([1, 2, 4, 5]))
    assert (line["low"], line["high"]) == (pytest.approx(low), pytest.approx(high))
    alone = maps.map_table(people[:1], "toy", "chan")
    assert alone[["sd", "low", "high"]].isna().all(axis=None)


def test_folds_are_chosen_by_decoder_and_subject() -> None:
    folds = [fold("1", ONE), fold("2", ONE), fold("1", ONE, align="euclidean:causal")]
    mine = maps.choose_folds(folds, ("toy", "none", "none"))
    assert [f.facts["subject"] for f in mine] == ["1", "2"]
    assert len(maps.choose_folds(folds, ("toy", "none", "none"), "2")) == 1
    assert maps.choose_folds(folds, ("toy", "none", "asr")) == []


def test_a_map_that_there_is_not_is_an_error() -> None:
    with pytest.raises(StoreError, match="No fold has a map 'time' by toy"):
        maps.map_table([fold("1", ONE)], "toy", "time")


NAMED = {"model": "toy", "align": "none", "clean": "none"}


def test_a_verdict_is_that_of_the_decoder_that_is_asked_for() -> None:
    entries = [
        {**NAMED, "method": "toy", "verdict": "holds"},
        {**NAMED, "align": "euclidean:causal", "method": "toy", "verdict": "fails"},
    ]
    summary = {"methods": entries}
    aligned = ("toy", "euclidean:causal", "none")
    assert maps.verdict_of(summary, aligned, "toy") == entries[1]
    assert maps.verdict_of(summary, ("toy", "none", "none"), "other") is None
    assert maps.verdict_of({}, aligned, "toy") is None


def test_truth_is_told_in_people() -> None:
    truth = {
        "chan_hits": 0.875, "chan_mass": 0.51, "chan_expected": 0.2, "band_hits": 1.0,
        "band_mass": None, "band_expected": None, "n": 8,
    }  # fmt: skip
    assert maps.truth_words(truth) == (
        "Simulated, so the truth is known: largest within one electrode of a true source in 7 of 8 "
        "people (51 % of the map is there, 20 % of a flat one), and in a true band in 8 of 8."
    )


@pytest.mark.parametrize("truth", [None, {}, {"n": 0}, {"n": 8}])
def test_of_an_unknown_truth_nothing_is_said(truth: dict[str, Any] | None) -> None:
    assert maps.truth_words(truth) == ""


def test_true_bands_are_those_of_simulated_people_and_else_there_are_none() -> None:
    assert maps.truth_bands({"truth_bands": [[10, 12.5]]}) == [(10.0, 12.5)]
    assert maps.truth_bands({"truth_bands": None}) == maps.truth_bands({}) == []
