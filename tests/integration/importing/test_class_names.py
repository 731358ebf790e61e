"""Classes that are numbers get the names that the estimator's answers fit, in whatever order the texts were coded."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management.base import CommandError
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from predictions.models import Prediction
from predictions.serving.importing.class_names import Answers, names_by_answers
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient

BY_ANSWERS = "the classes, which are numbers, are named as the answers fit best: right?"
SORTED = "the classes, which are numbers, are named as a LabelEncoder sorts them: right?"
X = pd.DataFrame({"a": np.linspace(0.0, 10.0, 150), "b": np.tile([1.0, 2.0, 3.0], 50)})
LEVELS = pd.Series(np.repeat(["low", "medium", "high"], 50), name="level")
BY_HAND = {"low": 0, "medium": 1, "high": 2}
ENCODED = {"high": 0, "low": 1, "medium": 2}


def forest(codes: dict[str, int], truth: pd.Series = LEVELS) -> Any:
    return RandomForestClassifier(10, random_state=0).fit(X, truth.map(codes))


def labels(client: ApiClient) -> list[str]:
    """The labels of a row in the middle of each level."""
    rows = [{"a": a, "b": 1.0} for a in (1.5, 5.0, 8.5)]
    client.post("/api/v1/models/mine/predictions/", json.dumps({"rows": rows}))
    return [(row.output or {})["label"] for row in Prediction.objects.order_by("id")]


@pytest.mark.parametrize(
    "codes",
    [
        BY_HAND,
        ENCODED,
        {"low": 2, "medium": 1, "high": 0},
        {"low": 1, "medium": 2, "high": 3},
        {"low": -1, "medium": 0, "high": 1},
        {"low": 10.0, "medium": 20.0, "high": 30.0},
    ],
)
def test_label_is_the_text_that_was_coded(bring: Bring, codes: dict[str, int]) -> None:
    said = bring(forest(codes), X.assign(level=LEVELS), "level")

    assert labels(ApiClient()) == ["low", "medium", "high"]
    assert (SORTED if codes == ENCODED else BY_ANSWERS) in said


def test_each_of_several_targets_gets_its_own_names(bring: Bring) -> None:
    truth = pd.DataFrame({"level": LEVELS, "ill": np.repeat(["yes", "no"], 75)})
    codes = np.column_stack([truth["level"].map(BY_HAND), truth["ill"].map({"yes": 0, "no": 1})])
    bring(RandomForestClassifier(10, random_state=0).fit(X, codes), X.join(truth), "level,ill")

    body = json.dumps({"features": {"a": 1.5, "b": 1.0}})
    ApiClient().post("/api/v1/models/mine/predictions/", body)
    outputs = (Prediction.objects.get().output or {})["outputs"]
    assert (outputs["level"]["label"], outputs["ill"]["label"]) == ("low", "yes")


def test_answers_that_fit_no_order_leave_the_names_sorted(bring: Bring) -> None:
    noise = pd.Series(np.random.default_rng(0).choice(["no", "yes"], 150), name="ill")
    said = bring(LogisticRegression().fit(X, (noise == "yes").astype(int)), X.assign(ill=noise), "ill")
    assert SORTED in said


def test_many_false_alarms_do_not_exchange_the_names(bring: Bring) -> None:
    """Of 150 people nine are ill. The estimator finds all, and calls two thirds of the others ill too: exchanged, its
    names would be right more often."""
    ill = pd.Series(np.where(X["a"] > 9.4, "yes", "no"), name="ill")
    codes = (ill == "yes").astype(int)
    estimator = LogisticRegression().fit(X, codes)
    estimator.coef_[:], estimator.intercept_[:] = [[1.0, 0.0]], [-3.0]
    assert (estimator.predict(X) == 1 - codes).mean() > 0.5

    assert SORTED in bring(estimator, X.assign(ill=ill), "ill")


def test_estimator_that_fails_keeps_the_sorted_names() -> None:
    assert names_by_answers([0, 1], ["no", "yes"], Answers(None, X), 0, pd.Series(["no", "yes"] * 75)) is None


def test_truth_and_falsehood_are_named(bring: Bring) -> None:
    ill = pd.Series(np.repeat(["yes", "no"], 75), name="ill")
    bring(RandomForestClassifier(10, random_state=0).fit(X, ill == "no"), X.assign(ill=ill), "ill")
    assert labels(ApiClient()) == ["yes", "no", "no"]


def test_next_version_with_other_codes_is_refused(bring: Bring) -> None:
    frame = X.assign(level=LEVELS)
    bring(forest(BY_HAND), frame, "level")

    with pytest.raises(CommandError, match="fit another order: 0 = high, 1 = low, 2 = medium"):
        bring(forest(ENCODED), frame, "level")
    assert "2" in bring(forest(BY_HAND), frame, "level")
