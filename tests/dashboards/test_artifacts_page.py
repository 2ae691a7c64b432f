"""The page about artifacts: cleaners, denoisers, and what rides on artifacts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import stores

Open = Callable[..., Any]


def titles(page: Any) -> list[str]:
    return [text.value for text in page.markdown if text.value.startswith("**")]


def test_cleaners_are_compared(open_page: Open, tmp_path: Path) -> None:
    cleans = ("none", "asr:own", "asr:own:removed")
    stores.score_run(tmp_path, 4, models=("csp_lda",), aligns=("none",), cleans=cleans)
    page = open_page(tmp_path, "artifacts")
    assert not page.exception
    assert "**What cleaning does to each decoder**" in titles(page)
    assert any("has not been explained" in text.value for text in page.info)


def test_a_contaminated_run_can_stand_beside_it(open_page: Open, tmp_path: Path) -> None:
    how: dict[str, Any] = {
        "models": ("csp_lda",), "aligns": ("none",), "cleans": ("none", "asr:own")
    }  # fmt: skip
    stores.score_run(tmp_path, 4, name="plain", **how)
    stores.score_run(tmp_path, 4, name="dirty", contaminated="both at -5 dB", **how)
    page = open_page(tmp_path, "artifacts", run="plain")
    (choice,) = [box for box in page.selectbox if "to put beside it" in box.label]
    assert choice.options == ["none", "dirty"]
    choice.set_value("dirty").run()
    assert not page.exception
    assert not page.error


def test_denoisers_have_their_own_figures(open_page: Open, tmp_path: Path) -> None:
    stores.denoise_run(tmp_path)
    page = open_page(tmp_path, "artifacts")
    assert not page.exception
    assert len(titles(page)) == 2
    (metric,) = [box for box in page.selectbox if box.label.startswith("Against")]
    metric.set_value("correlation").run()
    assert any("correlation against" in title for title in titles(page))


def test_an_explained_run_shows_what_its_decoders_ride_on(
    open_page: Open, full: Path, explained_run: str
) -> None:
    page = open_page(full, "artifacts", run=explained_run)
    assert not page.exception
    assert "**What is lost without a part of the signal**" in titles(page)
    box = next(box for box in page.selectbox if box.label == "Decoder")
    box.set_value(("csp_lda", "none", "none")).run()
    assert not page.exception


def test_runs_of_which_nothing_can_be_told_are_not_offered(open_page: Open, tmp_path: Path) -> None:
    stores.score_run(tmp_path, 2, models=("csp_lda",))
    page = open_page(tmp_path, "artifacts")
    assert "In no run was anything cleaned or explained." in page.info[0].value
