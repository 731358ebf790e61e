"""Coefficients replace a linear classifier in explanations only if its log-odds are a weighted sum of the features."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from predictions.serving.engines.linear import gives_log_odds
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.kinds import Integer, Number, Text
from predictions.serving.schema.signature import Signature
from predictions.serving.training.input_types import read_schema
from predictions.serving.training.log_odds import linear_log_odds

RANDOM = np.random.default_rng(0)
X = np.column_stack([RANDOM.normal(1000, 300, 60), RANDOM.integers(0, 5, 60), RANDOM.normal(0, 1, 60)])
TWO = (X[:, 0] + 80 * X[:, 1] + RANDOM.normal(0, 100, 60) > 1160).astype(int)
SIGNATURE = Signature([Number(name="size"), Integer(name="count"), Number(name="shift")])
ROWS: list[list[Any]] = [[size, int(count), shift] for size, count, shift in X.tolist()]


def engine(estimator: Any, y: Any = TWO, signature: Signature = SIGNATURE) -> SklearnEngine:
    fitted = estimator.fit(X, y)
    return SklearnEngine(fitted, signature, fitted.classes_.tolist(), read_schema("training", X, signature))


@pytest.mark.parametrize("steps", [[], [StandardScaler()]])
def test_coefficients_give_the_log_odds(steps: list[Any]) -> None:
    known = engine(make_pipeline(*steps, LogisticRegression(max_iter=5000)))

    found = linear_log_odds(known, ROWS)

    assert found is not None
    expected = known.estimator.decision_function(X)
    assert found[0] + X @ np.array(found[1:]) == pytest.approx(expected, rel=1e-9)


def test_log_odds_that_are_no_sum_of_the_features_have_no_coefficients() -> None:
    squared = engine(make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=5000)))

    assert linear_log_odds(squared, ROWS) is None


@pytest.mark.parametrize("y", [TWO, X[:, 1].astype(int)], ids=["a forest", "five classes"])
def test_other_classifiers_have_no_coefficients(y: Any) -> None:
    estimator = RandomForestClassifier(3) if y is TWO else LogisticRegression(max_iter=5000)

    assert linear_log_odds(engine(estimator, y), ROWS) is None


@pytest.mark.parametrize(("loss", "is_logistic"), [("log_loss", True), ("modified_huber", False), ("hinge", False)])
def test_linear_classifier_gives_log_odds_only_with_the_logistic_loss(loss: str, is_logistic: bool) -> None:
    fitted = make_pipeline(StandardScaler(), SGDClassifier(loss=loss, random_state=0)).fit(X, TWO)

    assert gives_log_odds(fitted) is is_logistic


def test_rows_with_a_gap_or_a_text_have_no_coefficients() -> None:
    known = engine(LogisticRegression(max_iter=5000))
    texts = Signature([*SIGNATURE.features[:2], Text(name="shift")])

    assert linear_log_odds(known, [*ROWS, [None, 1, 0.5]]) is None
    assert linear_log_odds(engine(LogisticRegression(max_iter=5000), signature=texts), ROWS) is None
    assert linear_log_odds(known, []) is None


def test_value_that_never_changes_has_no_known_coefficient() -> None:
    assert linear_log_odds(engine(LogisticRegression(max_iter=5000)), [[*row[:2], 7.0] for row in ROWS]) is None
