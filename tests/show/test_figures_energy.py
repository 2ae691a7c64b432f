"""Figures of what decoders cost: what is modelled says so, and spiking stands beside its twin."""

from typing import Any

import pytest

from neurodecode.show.figures import energy
from neurodecode.show.figures.figure import Figure

ENERGY = {"operations": 4600.0, "memory": 9000.0, "memory_int8": 1000.0, "quantised": None}


def entry(model: str, rate: float | None, **more: Any) -> dict[str, Any]:
    layer = {
        "layer": "mixer", "kind": "matrix", "macs": 1e6, "acs": 2e5, "rate": rate,
        "modelled_nj": ENERGY,
    }  # fmt: skip
    return {
        "model": model, "align": "none", "clean": "none", "score": 0.8, "n_params": 10,
        "layers": [layer], "macs": 1e6, "acs": 2e5, "rate": rate, "bits": rate and 3,
        "modelled_nj": {**ENERGY, "quantised": rate and 500.0}, "unseen": [],
        "latency_ms": {"p50": 1.0, "p99": 2.0, "processor": "a processor"}, **more,
    }  # fmt: skip


CLASSICAL = {"model": "csp_lda", "align": "none", "clean": "none", "score": 0.7, "n_params": 0}
DOCUMENT = {
    "metric": "balanced_accuracy",
    "models": [CLASSICAL, entry("dbconformer", None), entry("spiking_dbconformer", 0.1)],
}
EXITS = {
    "metric": "balanced_accuracy",
    "models": [
        {
            "model": "spiking_lmu", "align": "none", "clean": "none",
            "curve": [
                {"rule": "fixed", "bound": 1, "time": 1.0, "score": 0.6},
                {"rule": "fixed", "bound": 2, "time": 2.0, "score": 0.7},
                {"rule": "confidence", "bound": 0.5, "time": 1.2, "score": 0.68},
            ],
            "lines": [{"rule": "whole", "time": 2.0, "score": 0.7, "change": 0.0}],
        }
    ],
}  # fmt: skip


@pytest.mark.parametrize("draw", [energy.energies])
def test_modelled_energy_says_that_it_is(draw: Any) -> None:
    figure = draw(DOCUMENT)
    assert "MODELLED" in figure.title
    assert "MODELLED" in figure.caption
    assert "MODELLED energy of one window (\u00b5J)" in figure.chart.to_json()


def test_energies_are_in_microjoules_and_on_an_axis_of_ratios() -> None:
    figure = energy.energies(DOCUMENT)
    own = figure.table.set_index(["decoder", "account"])["energy (uJ)"]
    assert own["dbconformer", "operations, fp32"] == 4.6
    assert own["spiking_dbconformer", "counterpart without spikes, int8"] == 0.5
    assert "csp_lda" not in figure.table["decoder"].tolist()
    assert '"log"' in figure.chart.to_json()


def test_only_nets_that_spike_are_in_the_figure_of_spikes() -> None:
    figure = energy.spikes(DOCUMENT)
    assert figure is not None
    assert set(figure.table["decoder"]) == {"spiking_dbconformer"}
    assert energy.spikes({**DOCUMENT, "models": [entry("dbconformer", None)]}) is None


@pytest.mark.parametrize("models", [DOCUMENT["models"], [entry("dbconformer", None, score=None)]])
@pytest.mark.parametrize("draw", [energy.energies, energy.operations, energy.latency])
def test_figures_draw(draw: Any, models: list[Any]) -> None:
    figure: Figure = draw({**DOCUMENT, "models": models})
    assert figure.svg().startswith("<svg")
    assert figure.csv()


def test_latency_says_whose_processor_it_was() -> None:
    assert "a processor" in energy.latency(DOCUMENT).caption


def test_exits_show_the_curve_and_the_rules() -> None:
    figure = energy.exits(EXITS)
    assert figure is not None
    assert figure.table.groupby("what").size().to_dict() == {"curve": 3, "rule": 1}
    assert "Recording that is used (s)" in figure.chart.to_json()
    assert figure.svg().startswith("<svg")


def test_where_no_decoder_can_stop_early_nothing_is_drawn() -> None:
    assert energy.exits({**EXITS, "models": []}) is None
