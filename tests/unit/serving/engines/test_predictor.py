import json
import logging
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from predictions.serving.artifacts.description import Target
from predictions.serving.artifacts.repository import Conformal, Golden, Manifest
from predictions.serving.engines.opening import Files, Loaded, Pickled
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.engines.sklearn import SklearnEngine, predicts_argmax
from predictions.serving.schema.errors import ModelFailure
from predictions.serving.schema.input_schema import Column, InputSchema
from predictions.serving.schema.signature import Signature, Value
from tests.unit.serving import estimators

SIGNATURE = Signature.model_validate(
    [{"kind": "number", "name": "a"}, {"kind": "number", "name": "b", "required": False}]
)
SCHEMA = InputSchema(container="array", columns=(Column(dtype="float64"),) * 2)
X = np.array([[0.0, 1.0], [20.0, 1.0], [80.0, 1.0], [100.0, 1.0]])
Y = np.array(["a", "a", "b", "b"])


def loaded(estimator: Any, conformal: Conformal | None = None) -> Loaded:
    estimator.fit(X, Y)
    classes = np.asarray(getattr(estimator, "classes_", [])).tolist()
    manifest = Manifest(
        model="m",
        version=1,
        created_at="2026-01-01T00:00:00Z",  # type: ignore[arg-type]  # pydantic reads it
        sha256="0" * 64,
        bytes=0,
        task="classification" if classes else "regression",
        target=Target(name="t", unit="points"),
        classes=classes,
        labels=[name.upper() for name in classes],
        signature=SIGNATURE,
        input_schema=SCHEMA,
        libraries={},
        rows={"training": 4, "held_out": 0},
        golden=Golden(rows=[], outputs=[]),
        conformal=conformal,
        predict_ms=0,
    )
    return Loaded(manifest, SklearnEngine(estimator, SIGNATURE, classes, SCHEMA), Pickled(manifest, Files(bytes)))


def conformal(quantile: float) -> Conformal:
    return Conformal(coverage=0.9, quantile=quantile, method="lac", rows=20)


def test_predict_no_rows_is_no_outcome() -> None:
    assert predict(loaded(estimators.Sum()), []) == []


def test_predict_regression_gives_value_and_interval() -> None:
    assert predict(loaded(estimators.Sum(), conformal(2.5)), [[1.0, 2.0]]) == [
        Outcome({"kind": "regression", "value": 3.0, "unit": "points", "interval": [0.5, 5.5], "coverage": 0.9}, None)
    ]


def test_predict_without_calibration_says_null() -> None:
    (outcome,) = predict(loaded(estimators.Sum()), [[1.0, 2.0]])
    assert outcome.output == {"kind": "regression", "value": 3.0, "unit": "points", "interval": None, "coverage": None}


def test_predict_missing_number_reaches_the_estimator_as_nan() -> None:
    (outcome,) = predict(loaded(estimators.Sum()), [[1.0, None]])
    assert outcome.output is not None
    assert outcome.output["value"] == 1.0


def test_predict_classification_follows_the_contract() -> None:
    (outcome,) = predict(loaded(estimators.Cautious(), conformal(0.7)), [[60.0, 1.0]])
    # Cautious says A although B is likelier; the set holds both, likeliest first.
    assert outcome.output == {
        "kind": "classification",
        "label": "A",
        "probabilities": {"A": 0.4, "B": 0.6},
        "prediction_set": ["B", "A"],
        "coverage": 0.9,
    }


@pytest.mark.parametrize(("quantile", "kept"), [(0.5, ["B"]), (0.0, ["B"]), (0.7, ["B", "A"])])
def test_prediction_set_always_holds_the_label(quantile: float, kept: list[str]) -> None:
    (outcome,) = predict(loaded(LogisticRegression(), conformal(quantile)), [[51.0, 1.0]])
    assert outcome.output is not None
    assert (outcome.output["label"], outcome.output["prediction_set"]) == ("B", kept)


def test_predict_classifier_without_probabilities() -> None:
    (outcome,) = predict(loaded(SVC()), [[90.0, 1.0]])
    assert outcome.output == {
        "kind": "classification",
        "label": "B",
        "probabilities": None,
        "prediction_set": None,
        "coverage": None,
    }


def test_predict_outputs_are_plain_json() -> None:
    outcomes = predict(loaded(RandomForestClassifier(3, random_state=0)), [[1, 2], [90, 1]])
    assert json.loads(json.dumps([o.output for o in outcomes], allow_nan=False)) == [o.output for o in outcomes]


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), RandomForestClassifier(3)), True),
        (SVC(), False),
        (estimators.Cautious(), False),
        (type("Own", (RandomForestClassifier,), {"predict": lambda self, x: x})(), False),
    ],
)
def test_predicts_argmax_only_where_that_is_how_it_predicts(estimator: Any, expected: bool) -> None:
    assert predicts_argmax(estimator) is expected


def test_predict_tied_probabilities_ask_the_estimator_itself() -> None:
    estimator = LogisticRegression()
    version = loaded(estimator)
    estimator.coef_, estimator.intercept_ = np.array([[1e-18, 0.0]]), np.array([0.0])
    assert estimator.predict_proba([[1.0, 0.0]]).tolist() == [[0.5, 0.5]]
    (outcome,) = predict(version, [[1.0, 0.0]])
    assert outcome.output is not None
    assert outcome.output["label"] == estimator.predict([[1.0, 0.0]])[0].upper() == "B"


def values(outcomes: list[Outcome]) -> list[float | None]:
    return [outcome.output["value"] if outcome.output else None for outcome in outcomes]


@pytest.mark.parametrize("bad", [13.0, 15.0, 16.0])
def test_predict_bad_row_fails_alone_and_in_place(bad: float) -> None:
    rows: list[list[Value]] = [[1.0, 1.0], [bad, 0.0], [2.0, 2.0]]
    outcomes = predict(loaded(estimators.Sum()), rows)
    # 16 makes every sum of its call infinite: those rows cannot be told apart.
    assert values(outcomes) == ([None] * 3 if bad == 16 else [2.0, None, 4.0])
    assert isinstance(outcomes[1].error, ModelFailure)


def test_predict_failure_text_goes_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (outcome,) = predict(loaded(estimators.Sum()), [[13.0, 0.0]])
    assert "secret" in caplog.text
    assert "secret" not in f"{outcome.error!r} {outcome.error} {outcome}"


def test_predict_memory_error_concerns_all_rows() -> None:
    with pytest.raises(MemoryError):
        predict(loaded(estimators.Sum()), [[1.0, 1.0], [14.0, 0.0]])


def test_predict_class_never_announced_is_a_failure() -> None:
    outcomes = predict(loaded(estimators.Stranger()), [[10.0, 1.0], [60.0, 1.0]])
    assert [outcome.error is None for outcome in outcomes] == [True, False]
