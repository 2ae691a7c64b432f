import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from neurodecode.core.errors import ConfigError, FitError, SignalError, UnknownName
from neurodecode.core.seeding import generator
from neurodecode.training.estimator import Decoder, choose_validation

SFREQ = 100.0
QUICK = {"epochs": 2}


def windows(n: int = 40, n_chans: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Microvolts; the classes differ in the power of the first channel."""
    rng = np.random.default_rng(0)
    y = np.array(["left", "right"])[np.arange(n) % 2]
    x = 10 * rng.standard_normal((n, n_chans, 200)).astype(np.float32)
    x[y == "right", 0] *= 3
    return x, y


def net(**changes: Any) -> Decoder:
    return Decoder("dbconformer", **{"sfreq": SFREQ, "train": QUICK, **changes})


def classical(**changes: Any) -> Decoder:
    return Decoder("csp_lda", **{"sfreq": SFREQ, **changes})


@pytest.mark.parametrize("decoder", [net(), classical()], ids=["net", "classical"])
def test_predictions_agree_with_each_other(decoder: Decoder) -> None:
    x, y = windows()
    decoder = clone(decoder).fit(x, y)
    proba, decision = decoder.predict_proba(x), decoder.decision_function(x)
    assert list(decoder.classes_) == ["left", "right"]
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), proba[:, 1], atol=1e-6)
    np.testing.assert_array_equal(decoder.predict(x), decoder.classes_[proba.argmax(axis=1)])
    assert np.array_equal(proba, decoder.predict_proba(x))


def test_more_classes_get_a_score_each() -> None:
    x, _ = windows(30)
    decoder = net().fit(x, np.arange(30) % 3 + 5)
    assert decoder.decision_function(x).shape == (30, 3)
    assert set(decoder.predict(x)) <= {5, 6, 7}


def test_a_net_learns_what_a_classical_decoder_learns() -> None:
    x, y = windows(80)
    train = {"epochs": 25, "lr": 3e-3}
    assert net(train=train).fit(x[:60], y[:60]).score(x[60:], y[60:]) > 0.85
    assert classical().fit(x[:60], y[:60]).score(x[60:], y[60:]) > 0.85


def test_scikit_learn_takes_it_as_its_own() -> None:
    x, y = windows()
    decoder = net(options={"depth": 1}, seed=3)
    copy = clone(decoder)
    assert copy.get_params() == decoder.get_params()
    assert copy.set_params(seed=4).seed == 4
    scores = cross_val_score(make_pipeline(FunctionTransformer(), classical()), x, y, cv=3)
    assert scores.mean() > 0.8
    assert len(cross_val_score(decoder, x, y, cv=2, scoring="roc_auc")) == 2


def test_same_seed_same_probabilities_whatever_is_fitted_between() -> None:
    x, y = windows()
    first = net().fit(x, y).predict_proba(x)
    other = net(seed=1).fit(x, y).predict_proba(x)
    assert np.array_equal(first, net().fit(x, y).predict_proba(x))
    assert not np.array_equal(first, other)


def test_units_do_not_matter_to_a_net() -> None:
    x, y = windows()
    volts = net().fit(x * 1e-6, y).predict_proba(x * 1e-6)
    np.testing.assert_allclose(net().fit(x, y).predict_proba(x), volts, atol=1e-3)


def test_statistics_are_those_of_the_windows_trained_on() -> None:
    x, y = windows()
    groups = np.repeat(list("abcde"), 8)
    decoder = net().fit(x, y, groups)
    held_out = choose_validation(np.arange(40) % 2, groups, 0)
    np.testing.assert_allclose(decoder.mean_[:, 0], x[~held_out].mean(axis=(0, 2)), atol=1e-5)
    np.testing.assert_allclose(decoder.scale_[:, 0], x[~held_out].std(axis=(0, 2)), rtol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1234.56])
def test_a_flat_channel_is_not_divided_by_zero(value: float) -> None:
    x, y = windows()
    x = x.astype(np.float64)
    x[:, 2] = value * (1 + 1e-9 * x[:, 1])  # flat but for rounding, as filters leave it
    decoder = net().fit(x, y)
    assert decoder.scale_[2] == 1
    np.testing.assert_allclose(decoder.normalized(x)[:, 2], 0, atol=1e-3)
    assert np.isfinite(decoder.predict_proba(x)).all()


@pytest.mark.parametrize("normalize", ["channel", "scale", "none"])
def test_every_normalization_is_what_it_says(normalize: Any) -> None:
    x, y = windows()
    z = net(normalize=normalize).fit(x, y).normalized(x)
    if normalize == "none":
        np.testing.assert_array_equal(z, x)
    else:
        assert np.sqrt((z**2).mean()) == pytest.approx(1, rel=0.1)
    if normalize == "scale":  # channels keep their proportions
        np.testing.assert_allclose(z / z[0, 0, 0], x / x[0, 0, 0], rtol=1e-3, atol=1e-3)


def test_whole_groups_choose_the_epoch() -> None:
    y, groups = np.arange(100) % 2, np.repeat(np.arange(10), 10)
    held_out = choose_validation(y, groups, 0)
    assert held_out.sum() == 20
    assert len(np.unique(groups[held_out])) == 2
    assert not set(groups[held_out]) & set(groups[~held_out])
    assert any((choose_validation(y, groups, s) != held_out).any() for s in range(1, 5))


def test_two_groups_are_too_few_to_lose_one() -> None:
    y, groups = np.arange(50) % 2, np.repeat([0, 1], 25)
    held_out = choose_validation(y, groups, 0)
    np.testing.assert_array_equal(np.bincount(y[held_out]), [5, 5])


def test_held_out_groups_may_not_hold_all_of_a_class() -> None:
    y, groups = np.array([0] * 8 + [1] * 4), np.repeat([0, 1, 2], 4)
    lost = next(s for s in range(50) if generator(s, "validation").permutation(3)[0] == 2)
    with pytest.raises(FitError, match="Without 2, held out .* a class has no training windows"):
        choose_validation(y, groups, lost)


def test_labels_of_the_held_out_group_do_not_reach_the_weights() -> None:
    x, y = windows()
    groups = np.repeat(list("abcde"), 8)
    held_out = choose_validation(np.arange(40) % 2, groups, 0)
    changed = y.copy()
    changed[held_out] = y[held_out][::-1]
    one = {"train": {"epochs": 1}}
    before = net(**one).fit(x, y, groups).predict_proba(x)
    assert np.array_equal(before, net(**one).fit(x, changed, groups).predict_proba(x))


def test_a_decoder_travels_between_processes() -> None:
    x, y = windows()
    for decoder in (Decoder("eegnet", sfreq=SFREQ, train={"epochs": 1}), classical()):
        decoder.fit(x, y)
        copy = pickle.loads(pickle.dumps(decoder))
        assert np.array_equal(copy.predict_proba(x), decoder.predict_proba(x))


def test_it_says_what_is_wrong_with_the_windows() -> None:
    x, y = windows()
    bad = x.copy()
    bad[7, 1, 3] = np.nan
    with pytest.raises(FitError, match=r"1 of 40 windows hold .* \(first: window 7\)"):
        net().fit(bad, y)
    with pytest.raises(FitError, match=r"All 40 training windows are of one class \(rest\)"):
        net().fit(x, ["rest"] * 40)
    with pytest.raises(FitError, match="40 windows need as many labels"):
        net().fit(x, y[:30])
    with pytest.raises(FitError, match="40 windows need as many groups"):
        net().fit(x, y, groups=[1, 2, 3])
    with pytest.raises(SignalError, match=r"\(n_epochs, n_chans, n_times\).*got shape \(40, 600\)"):
        net().fit(x.reshape(40, -1), y)
    with pytest.raises(SignalError, match="2 channel names for windows of 3 channels"):
        net(ch_names=["C3", "C4"]).fit(x, y)


def test_it_says_what_is_wrong_when_predicting() -> None:
    x, y = windows()
    decoder = classical()
    with pytest.raises(NotFittedError):
        decoder.predict(x)
    decoder.fit(x, y)
    with pytest.raises(SignalError, match="2 channels x 200 samples; this decoder was fitted to 3"):
        decoder.predict(x[:, :2])
    x[0, 0, 0] = np.inf
    with pytest.raises(SignalError, match="1 of 40 windows hold values"):
        decoder.predict(x)


def test_it_says_what_is_wrong_with_the_choices() -> None:
    x, y = windows()
    with pytest.raises(UnknownName, match="'dbconformr'. Did you mean 'dbconformer'"):
        Decoder("dbconformr", sfreq=SFREQ).fit(x, y)
    with pytest.raises(UnknownName, match=r"\[model.dbconformer\] is called 'dept'"):
        net(options={"dept": 1}).fit(x, y)
    with pytest.raises(UnknownName, match=r"\[train\] is called 'epoch'"):
        net(train={"epoch": 1}).fit(x, y)
    with pytest.raises(ConfigError, match="normalize='robust' is not one of"):
        net(normalize="robust").fit(x, y)


def test_a_failed_fit_leaves_it_unfitted() -> None:
    x, y = windows()
    decoder = net(train={"epochs": 1, "lr": 1e30})
    with pytest.raises(FitError, match="Lower train.lr"):
        decoder.set_params(train={"epochs": 5, "lr": 1e30}).fit(x, y)
    with pytest.raises(NotFittedError):
        decoder.predict(x)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # numpy's, first
def test_what_scikit_learn_cannot_fit_is_one_line() -> None:
    x, y = windows()
    x[:, 1] = x[:, 0]  # a covariance without full rank
    decoder = Decoder("mdm", sfreq=SFREQ, options={"estimator": "scm"})
    with pytest.raises(
        FitError, match="mdm cannot be fitted to 40 windows of 3 channels"
    ) as caught:
        decoder.fit(x, y)
    assert "\n" not in str(caught.value)
