from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from toy_run import toy_run

from neurodecode.core.errors import StoreError
from neurodecode.results.comparison import compare, differences, find_pipeline, side_by_side


def test_differences_are_paired_by_person(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5, 0.6, 0.7], "b": [0.6, 0.8, 0.7]})
    units, means = differences(side_by_side([run]), ("a", "none", "none"))
    assert units["difference"].tolist() == pytest.approx([0.1, 0.2, 0.0])
    line = means.iloc[0]
    assert (line["better"], line["worse"], line["n"]) == (2, 0, 3)
    expected = stats.ttest_rel([0.6, 0.8, 0.7], [0.5, 0.6, 0.7]).confidence_interval(0.95)
    assert (line["low"], line["high"]) == pytest.approx((expected.low, expected.high))


def test_a_person_whom_only_one_decoder_has_is_no_pair(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5, 0.6, 0.7], "b": [0.6, 0.8]})
    _, means = differences(side_by_side([run]), ("a", "none", "none"))
    assert means["n"].tolist() == [2]


def test_the_table_and_the_differences_say_the_same(tmp_path: Path) -> None:
    run = toy_run(tmp_path, {"a": [0.5, 0.6, 0.7, 0.9], "b": [0.6, 0.8, 0.7, 0.8]})
    found = compare([run], None, "b")
    assert found.reference == "b"
    board = found.board.set_index("decoder")
    assert np.isnan(board.loc["b", "gain"])
    assert board.loc["a", "gain"] == pytest.approx(found.means["difference"].iloc[0])
    assert compare([run], None, "no such").reference == "a"


def test_one_decoder_cannot_be_compared(tmp_path: Path) -> None:
    rows = side_by_side([toy_run(tmp_path, {"a": [0.5, 0.6]})])
    with pytest.raises(StoreError, match="nothing to compare"):
        differences(rows, find_pipeline(rows, "a"))


def test_the_same_decoder_in_two_runs_is_named_with_its_run(tmp_path: Path) -> None:
    runs = [
        toy_run(tmp_path, {"a": [0.5, s]}, name=f"run-0000000{i}") for i, s in enumerate((0.6, 0.8))
    ]
    found = compare(runs, None, None)
    assert found.names == ["a @00000000", "a @00000001"]
    assert found.means["difference"].iloc[0] == pytest.approx(0.1)


@pytest.mark.parametrize("own", [{"dataset": "e"}, {"protocol": "within-session"},
                                 {"labels": "shuffled"}])  # fmt: skip
def test_runs_that_ask_another_question_are_refused(tmp_path: Path, own: dict[str, str]) -> None:
    runs = [toy_run(tmp_path, {"a": [0.5]}), toy_run(tmp_path, {"b": [0.5]}, name="other", **own)]
    with pytest.raises(StoreError, match=f"differ in their {next(iter(own))}"):
        side_by_side(runs)
