import json
import logging
import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from predictions.serving.artifacts.description import Target
from predictions.serving.artifacts.manifest import Golden, Manifest
from predictions.serving.artifacts.sureness import (
    Calibration,
    ClassMap,
    Evidence,
    Interval,
    Measured,
    Sets,
    Sureness,
)
from predictions.serving.engines.opening import Files, Loaded, Pickled
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.engines.sklearn import SklearnEngine, predicts_argmax
from predictions.serving.engines.sureness import Assessment
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


def loaded(estimator: Any, sureness: Sureness | None = None, assessor: Any = None) -> Loaded:
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
        sureness=sureness,
        predict_ms=0,
    )
    engine = SklearnEngine(estimator, SIGNATURE, classes, SCHEMA)
    return Loaded(manifest, engine, Pickled(manifest, Files(bytes)), assessor=assessor)


MEASURED = Measured(covered=9, of=10, calibrated_on=10, low=7, high=10)


def sets(*thresholds: float, **more: Any) -> Sureness:
    said = Sets(coverage=0.9, thresholds=list(thresholds), rows=[20, 20], measured=[MEASURED, MEASURED])
    evidence = {"clear": Evidence(right=18, of=19), "uncertain": Evidence(right=1, of=2)}
    return Sureness.model_validate({"rows": 40, "sets": said, "evidence": evidence, **more})


def interval(quantile: float, low: float | None = None, high: float | None = None, **more: Any) -> Sureness:
    said = Interval.model_validate(
        {"coverage": 0.9, "quantile": quantile, "method": "constant", "rows": 20, "low": low, "high": high}
        | {"bounds_from": "model", "mean_width": 5, "constant_width": 5, "measured": MEASURED, **more}
    )
    return Sureness(rows=20, interval=said, evidence={"interval": Evidence(right=18, of=20)})


class Outsiders:
    """Rows whose first number is above 90 are outside; the second number is the difficulty."""

    def assess(self, rows: Any) -> Assessment:
        return Assessment(np.array([row[0] > 90 for row in rows]), np.array([float(row[1]) for row in rows]))


class Broken:
    def assess(self, rows: Any) -> Assessment:
        raise ValueError("no sureness today")


def test_predict_no_rows_is_no_outcome() -> None:
    assert predict(loaded(estimators.Sum()), []) == []


NO_PROMISE = {"interval": None, "coverage": None, "grade": None, "grade_evidence": None}


def test_predict_regression_gives_value_and_interval() -> None:
    assert predict(loaded(estimators.Sum(), interval(2.5)), [[1.0, 2.0]]) == [
        Outcome(
            {
                "kind": "regression",
                "value": 3.0,
                "unit": "points",
                "interval": [0.5, 5.5],
                "coverage": 0.9,
                "grade": None,
                "grade_evidence": {"right": 18, "of": 20},
            },
            None,
        )
    ]


def test_predict_without_sureness_says_null() -> None:
    (outcome,) = predict(loaded(estimators.Sum()), [[1.0, 2.0]])
    assert outcome.output == {"kind": "regression", "value": 3.0, "unit": "points", **NO_PROMISE}


def test_interval_is_as_wide_as_the_row_is_difficult() -> None:
    version = loaded(estimators.Sum(), interval(2.0, method="difficulty"), Outsiders())
    found = [o.output["interval"] for o in predict(version, [[1.0, 2.0], [1.0, 3.0]]) if o.output]
    assert found == [[3.0 - 4.0, 3.0 + 4.0], [4.0 - 6.0, 4.0 + 6.0]]


@pytest.mark.parametrize(("low", "high", "expected"), [(0.0, 5.0, [0.0, 5.0]), (None, 2.0, [-7.0, 3.0])])
def test_interval_is_clipped_to_what_the_target_can_be_and_holds_the_value(
    low: float | None, high: float | None, expected: list[float]
) -> None:
    (outcome,) = predict(loaded(estimators.Sum(), interval(10.0, low, high)), [[1.0, 2.0]])
    assert outcome.output is not None
    assert outcome.output["interval"] == expected


@pytest.mark.parametrize("size", [math.inf, math.nan, 1e308])
def test_row_whose_interval_has_no_finite_bounds_gets_no_interval(size: float) -> None:
    class Puzzled:
        def assess(self, rows: Any) -> Assessment:
            return Assessment(np.array([False]), np.array([size]))

    (outcome,) = predict(loaded(estimators.Sum(), interval(2.0, method="difficulty"), Puzzled()), [[1.0, 2.0]])

    assert outcome.output == {"kind": "regression", "value": 3.0, "unit": "points", **NO_PROMISE, "grade": None}


def test_row_outside_gets_no_interval() -> None:
    outcomes = predict(loaded(estimators.Sum(), interval(2.5), Outsiders()), [[95.0, 2.0], [1.0, 2.0]])
    assert outcomes[0].output == {
        "kind": "regression",
        "value": 97.0,
        "unit": "points",
        **NO_PROMISE,
        "grade": "outside",
    }
    assert outcomes[1].output is not None
    assert outcomes[1].output["interval"] == [0.5, 5.5]


def test_row_outside_gets_no_set() -> None:
    (outcome,) = predict(loaded(LogisticRegression(), sets(0.5, 0.5), Outsiders()), [[99.0, 1.0]])
    assert outcome.output is not None
    assert (outcome.output["label"], outcome.output["grade"]) == ("B", "outside")
    assert (outcome.output["prediction_set"], outcome.output["coverage"]) == (None, None)
    assert outcome.output["grade_evidence"] is None


def test_assessment_that_fails_withholds_promises_and_not_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    (outcome,) = predict(loaded(estimators.Sum(), interval(2.5), Broken()), [[1.0, 2.0]])
    assert outcome.output == {"kind": "regression", "value": 3.0, "unit": "points", **NO_PROMISE}
    assert "no sureness today" in caplog.text
    (outcome,) = predict(loaded(LogisticRegression(), sets(0.5, 0.5), Broken()), [[80.0, 1.0]])
    assert outcome.output is not None
    assert (outcome.output["prediction_set"], outcome.output["grade"]) == (None, None)


def test_predict_missing_number_reaches_the_estimator_as_nan() -> None:
    (outcome,) = predict(loaded(estimators.Sum()), [[1.0, None]])
    assert outcome.output is not None
    assert outcome.output["value"] == 1.0


def test_predict_classification_follows_the_contract() -> None:
    (outcome,) = predict(loaded(estimators.Cautious(), sets(0.7, 0.7)), [[60.0, 1.0]])
    # Cautious says A although B is likelier; the set holds both, likeliest first.
    assert outcome.output == {
        "kind": "classification",
        "label": "A",
        "probabilities": {"A": 0.4, "B": 0.6},
        "prediction_set": ["B", "A"],
        "coverage": 0.9,
        "grade": "uncertain",
        "grade_evidence": {"right": 1, "of": 2},
    }


@pytest.mark.parametrize(
    ("thresholds", "kept", "grade"),
    [
        ((0.0, 0.7), ["B"], "clear"),
        ((0.7, 0.7), ["B", "A"], "uncertain"),
        ((0.7, 0.0), ["A"], "uncertain"),
        ((0.0, 0.0), [], "uncertain"),
    ],
)
def test_prediction_set_holds_only_what_the_thresholds_allow(
    thresholds: tuple[float, float], kept: list[str], grade: str
) -> None:
    (outcome,) = predict(loaded(LogisticRegression(), sets(*thresholds)), [[51.0, 1.0]])
    assert outcome.output is not None
    assert (outcome.output["label"], outcome.output["prediction_set"]) == ("B", kept)
    assert outcome.output["grade"] == grade


def test_evidence_is_that_of_the_answered_class() -> None:
    counts = {"clear": [Evidence(right=8, of=9), Evidence(right=3, of=3)], "uncertain": [Evidence(right=0, of=0)] * 2}
    known = sets(0.0, 0.7, evidence={}, class_evidence=counts)
    (outcome,) = predict(loaded(LogisticRegression(), known), [[51.0, 1.0]])
    assert outcome.output
    assert (outcome.output["label"], outcome.output["grade"]) == ("B", "clear")
    assert outcome.output["grade_evidence"] == {"right": 3, "of": 3}

    known = sets(0.0, 0.7, evidence={}, class_evidence=counts, never_clear=[1])
    (outcome,) = predict(loaded(LogisticRegression(), known), [[51.0, 1.0]])
    assert outcome.output
    assert (outcome.output["prediction_set"], outcome.output["grade"]) == (["B"], "uncertain")
    assert outcome.output["grade_evidence"] == {"right": 0, "of": 0}


def test_grade_without_evidence_has_null_evidence() -> None:
    (outcome,) = predict(loaded(LogisticRegression(), sets(0.0, 0.7, evidence={})), [[51.0, 1.0]])
    assert outcome.output is not None
    assert (outcome.output["grade"], outcome.output["grade_evidence"]) == ("clear", None)


def test_probabilities_are_calibrated_and_the_set_is_of_the_estimators_own() -> None:
    calibration = Calibration(
        method="sigmoid",
        maps=[ClassMap(slope=0.0, intercept=0.0)],
        rows=40,
        log_loss_before=0.5,
        log_loss_after=0.4,
        standard_error=0.01,
    )
    (outcome,) = predict(loaded(estimators.Cautious(), sets(0.3, 0.3, calibration=calibration)), [[95.0, 1.0]])
    assert outcome.output is not None
    assert outcome.output["probabilities"] == {"A": 0.5, "B": 0.5}
    assert outcome.output["prediction_set"] == ["B"]


def test_predict_classifier_without_probabilities() -> None:
    (outcome,) = predict(loaded(SVC()), [[90.0, 1.0]])
    assert outcome.output == {
        "kind": "classification",
        "label": "B",
        "probabilities": None,
        "prediction_set": None,
        "coverage": None,
        "grade": None,
        "grade_evidence": None,
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
    # 16 makes every answer of its call infinite, so the bad row cannot be told from the others.
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
