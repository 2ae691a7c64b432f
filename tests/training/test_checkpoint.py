import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyriemann.estimation import Covariances
from pyriemann.tangentspace import TangentSpace
from safetensors.numpy import load_file, save_file
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from neurodecode.core.errors import CheckpointError
from neurodecode.models import MODELS
from neurodecode.training import checkpoint
from neurodecode.training.estimator import Decoder

NAMES = [n for n in MODELS.names() if n != "braindecode"]


def windows(n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = 10 * rng.standard_normal((n, 4, 256)), np.array(["left", "right"])[np.arange(n) % 2]
    x[y == "right", 0] *= 3
    return x.astype(np.float32), y


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    decoder = Decoder("csp_lda", sfreq=128.0, ch_names=("C3", "C4", "Cz", "Pz"))
    checkpoint.save(decoder.fit(*windows()), tmp_path / "a.safetensors")
    return tmp_path / "a.safetensors"


def rewritten(path: Path, **changes: Any) -> Path:
    """The file with parts of its header changed."""
    header = json.loads(_metadata(path)["neurodecode"]) | changes
    save_file(load_file(path), path, metadata={"neurodecode": json.dumps(header)})
    return path


def _metadata(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    return dict(json.loads(raw[8 : 8 + size])["__metadata__"])


@pytest.mark.parametrize("name", NAMES)
def test_every_model_comes_back_to_the_last_bit(name: str, tmp_path: Path) -> None:
    x, y = windows()
    decoder = Decoder(name, sfreq=128.0, train={"epochs": 1}, seed=2).fit(x, y)
    checkpoint.save(decoder, tmp_path / "a.safetensors")
    copy = checkpoint.load(tmp_path / "a.safetensors")
    assert np.array_equal(copy.predict_proba(x), decoder.predict_proba(x))
    assert copy.get_params() == decoder.get_params()
    assert copy.spec_ == decoder.spec_
    assert copy.history_ == decoder.history_
    assert copy.n_params_ == decoder.n_params_
    assert list(copy.classes_) == list(decoder.classes_)
    assert copy.classes_.dtype == decoder.classes_.dtype


def riemann(last: BaseEstimator) -> BaseEstimator:
    return make_pipeline(Covariances("oas"), TangentSpace(), StandardScaler(), last)


@pytest.mark.parametrize(
    "last",
    [
        LogisticRegression(class_weight="balanced"),
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        SVC(kernel="rbf"),
    ],
    ids=str,
)
def test_estimators_of_others_come_back_to_the_last_bit(last: BaseEstimator) -> None:
    x, y = windows()
    fitted = riemann(last).fit(x, y)
    tensors: checkpoint.Tensors = {}
    code = json.loads(json.dumps(checkpoint.encode(fitted, "pipeline", tensors)))
    copy = checkpoint.decode(code, tensors, built=riemann(last))
    assert np.array_equal(copy.predict(x), fitted.predict(x))
    assert np.array_equal(copy.decision_function(x), fitted.decision_function(x))
    assert copy.get_params().keys() == fitted.get_params().keys()


def test_a_function_is_taken_from_the_model_as_built() -> None:
    built = FunctionTransformer(np.log1p)
    tensors: checkpoint.Tensors = {}
    code = checkpoint.encode(FunctionTransformer(np.log1p).fit(np.ones((2, 1))), "f", tensors)
    assert checkpoint.decode(code, tensors, built=built).func is np.log1p
    with pytest.raises(CheckpointError, match="a kind of value that this version does not know"):
        checkpoint.decode(code, tensors)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        -0.1,
        float("inf"),
        "text",
        [1, (2.5, None)],
        {"a": 1, 2: [3]},
        np.float32(0.1),
        np.int64(7),
        np.arange(6).reshape(2, 3),
        np.asfortranarray(np.random.default_rng(0).random((3, 2))),
        np.array(["left", "right"]),
        np.array(["left", "right"], dtype=object),
        np.zeros((0, 3)),
    ],
    ids=repr,
)
def test_values_come_back_as_they_were(value: Any) -> None:
    tensors: checkpoint.Tensors = {}
    code = json.loads(json.dumps(checkpoint.encode(value, "v", tensors)))
    copy = checkpoint.decode(code, tensors)
    assert type(copy) is type(value)
    if isinstance(value, np.ndarray):
        assert copy.dtype == value.dtype
        assert copy.flags.f_contiguous == value.flags.f_contiguous
        np.testing.assert_array_equal(copy, value)
    else:
        assert copy == value


class Remembers(BaseEstimator):  # type: ignore[misc]
    """Keeps something after fitting."""

    def fit(self, thing: object) -> "Remembers":
        self.thing_ = thing
        return self


@pytest.mark.parametrize("thing", [print, object(), np.array([object()]), {1, 2}, 1j])
def test_what_is_neither_number_nor_text_is_refused_by_name(thing: object) -> None:
    with pytest.raises(CheckpointError, match=r"model\.thing_"):
        checkpoint.encode(Remembers().fit(thing), "model", {})


def test_only_known_packages_are_imported() -> None:
    code = {"estimator": ["os", "system"], "attributes": {}}
    with pytest.raises(CheckpointError, match="it names os.system, and only sklearn"):
        checkpoint.decode(code, {})
    code = {"estimator": ["sklearn.utils", "Bunch"], "attributes": {}}
    with pytest.raises(CheckpointError, match="Bunch is not an estimator"):
        checkpoint.decode(code, {})


def test_an_unfitted_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not fitted"):
        checkpoint.save(Decoder("csp_lda", sfreq=128.0), tmp_path / "a.safetensors")


def test_a_failed_write_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, decoder = saved.read_bytes(), checkpoint.load(saved)

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(CheckpointError, match="cannot be written: No space left"):
        checkpoint.save(decoder, saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        checkpoint.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_refused(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="is not a whole checkpoint") as caught:
        checkpoint.load(saved)
    assert "\n" not in str(caught.value)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("hello, this is no checkpoint at all")
    with pytest.raises(CheckpointError, match="is not a whole checkpoint"):
        checkpoint.load(tmp_path / "a.safetensors")
    save_file({"x": np.zeros(3)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match="was not written by neurodecode"):
        checkpoint.load(tmp_path / "b.safetensors")


def test_a_newer_format_is_refused(saved: Path) -> None:
    with pytest.raises(CheckpointError, match="has format 2; this version reads up to 1"):
        checkpoint.load(rewritten(saved, format=2))


def test_a_model_that_is_gone_is_refused(saved: Path) -> None:
    choices = {"dict": [["model", "csp_ldb"], ["sfreq", 128.0]]}
    with pytest.raises(CheckpointError, match="cannot be rebuilt: No model is called 'csp_ldb'"):
        checkpoint.load(rewritten(saved, choices=choices))


@pytest.mark.parametrize(
    "changes", [{"choices": 3}, {"spec": {}}, {"estimator": {"what": 1}}, {"classes": None}]
)
def test_a_damaged_header_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    rewritten(saved, **changes)
    with pytest.raises(CheckpointError, match=str(saved)):
        checkpoint.load(saved)


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    decoder = Decoder("dbconformer", sfreq=128.0, options={"depth": 1}, train={"epochs": 1})
    checkpoint.save(decoder.fit(*windows()), path)
    choices = checkpoint.encode({**decoder.get_params(), "options": {"depth": 2}}, "c", {})
    with pytest.raises(CheckpointError, match="its weights do not fit dbconformer"):
        checkpoint.load(rewritten(path, choices=choices))


def test_what_lies_beside_a_decoder_comes_back_and_changes_nothing_of_it(tmp_path: Path) -> None:
    x, y = windows()
    decoder = Decoder("csp_lda", sfreq=128.0).fit(x, y)
    scaler = StandardScaler().fit(x[:, 0])
    path = tmp_path / "a.safetensors"
    checkpoint.save(decoder, path, {"cleaner": scaler, "drift": True, "gain": 2.5, "none": None})
    extra = checkpoint.load_extra(path)
    assert set(extra) == {"cleaner", "drift", "gain", "none"}
    assert (extra["drift"], extra["gain"], extra["none"]) == (True, 2.5, None)
    np.testing.assert_array_equal(extra["cleaner"].transform(x[:, 0]), scaler.transform(x[:, 0]))
    assert np.array_equal(checkpoint.load(path).predict_proba(x), decoder.predict_proba(x))


def test_a_file_of_before_has_nothing_beside_the_decoder(saved: Path) -> None:
    header = json.loads(_metadata(saved)["neurodecode"])
    del header["extra"]
    save_file(load_file(saved), saved, metadata={"neurodecode": json.dumps(header)})
    assert checkpoint.load_extra(saved) == {}
    assert checkpoint.load(saved).model == "csp_lda"


def test_a_stranger_beside_the_decoder_is_not_built(saved: Path) -> None:
    extra = {"dict": [["cleaner", {"estimator": ["os", "system"], "attributes": {}}]]}
    with pytest.raises(CheckpointError, match=r"a\.safetensors: it names os\.system"):
        checkpoint.load_extra(rewritten(saved, extra=extra))
