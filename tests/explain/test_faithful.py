"""Are the places that a map calls large those that the decoder needs?"""

import numpy as np
import pytest

from neurodecode.explain.faithful import Deletion
from neurodecode.explain.windows import Maps, Windows
from neurodecode.training.estimator import Decoder

CH_NAMES = ("Fz", "FC3", "FCz", "FC4", "C3", "Cz", "C4", "CP3", "CPz", "CP4")


def pointing_at(name: str) -> Maps:
    chan = np.linspace(0.5, 0.1, len(CH_NAMES)) * np.ones((2, 1))
    chan[:, CH_NAMES.index(name)] = 1
    return Maps(kinds={"chan": chan.astype(np.float32)}, unit="share")


@pytest.fixture(scope="module")
def deletion(classical: Decoder, known: Windows) -> Deletion:
    return Deletion(classical, known, np.random.default_rng(0))


def test_the_electrode_that_matters_goes_first_and_nothing_is_left(deletion: Deletion) -> None:
    curves = deletion.curves(pointing_at("C3"))
    assert curves.deletion[0] > 0.9
    assert curves.deletion[1] < 0.7  # C3 was among the first
    assert curves.deletion[-1] == pytest.approx(curves.deletion_random[-1])
    assert curves.insertion[1] > curves.insertion_random[1]
    assert curves.gain > 0.05


def test_a_map_that_points_elsewhere_is_worse_than_random_orders(deletion: Deletion) -> None:
    chan = np.arange(len(CH_NAMES), 0, -1.0) * np.ones((2, 1))
    chan[:, CH_NAMES.index("C3")] = 0
    curves = deletion.curves(Maps(kinds={"chan": chan.astype(np.float32)}, unit="share"))
    assert curves.gain < 0


def test_curves_begin_and_end_where_nothing_or_all_is_swapped(
    deletion: Deletion, classical: Decoder, known: Windows
) -> None:
    curves = deletion.curves(pointing_at("Fz"))
    proba = classical.predict_proba(known.x)[np.arange(len(known.y)), known.y].mean()
    assert curves.fraction[0] == 0
    assert curves.fraction[-1] == 1
    assert curves.deletion[0] == pytest.approx(proba)
    assert curves.insertion[-1] == pytest.approx(proba)


def test_a_map_without_electrodes_has_no_curves(deletion: Deletion) -> None:
    assert deletion.curves(Maps(kinds={"freq": np.ones((2, 5), np.float32)}, unit="dB")) is None


def test_the_sign_of_a_map_is_no_order(deletion: Deletion) -> None:
    maps = pointing_at("C3")
    turned = Maps(kinds={"chan": -maps.kinds["chan"]}, unit="share", signed=True)
    assert deletion.curves(turned).gain == deletion.curves(maps).gain
