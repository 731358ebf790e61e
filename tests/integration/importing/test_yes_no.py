"""Columns of true and false: asked as yes or no, whatever the estimator and the file make of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from predictions.models import Prediction
from predictions.serving.artifacts import repository
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient

RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame({"member": RANDOM.random(200) > 0.5, "age": RANDOM.normal(50, 9, 200).round(1)})
FRAME["y"] = np.where(FRAME["member"] ^ (RANDOM.random(200) < 0.1), "yes", "no")
GAPS = FRAME.assign(member=FRAME["member"].astype(object).mask(FRAME.index % 9 == 0))
COLUMNS = ["member", "age"]


def encoded() -> Any:
    return make_pipeline(
        make_column_transformer((OneHotEncoder(), ["member"]), remainder="passthrough"), LogisticRegression()
    )


def histogram(categorical: Any) -> Any:
    return HistGradientBoostingClassifier(max_iter=5, categorical_features=categorical)


def catboost() -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(iterations=9, verbose=0, allow_writing_files=False, cat_features=["member"])


def lightgbm() -> Any:
    from lightgbm import LGBMClassifier

    return LGBMClassifier(n_estimators=5, verbose=-1)


# The estimator, the dtype on which it is fitted, and the dtype of the file.
WITHOUT_GAPS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "encoder of bools": (encoded, "bool", "bool"),
    "encoder of nullable bools": (encoded, "boolean", "bool"),
    "encoder of 0 and 1": (encoded, "int", "bool"),
    "encoder of bools, 0 and 1 in the file": (encoded, "bool", "int"),
    "histogram boosting by a mask": (lambda: histogram([True, False]), "bool", "bool"),
    "histogram boosting by a category": (lambda: histogram("from_dtype"), "category", "bool"),
    "catboost of bools": (catboost, "bool", "bool"),
    "catboost of 0 and 1": (catboost, "int", "bool"),
    "lightgbm of a category": (lightgbm, "category", "bool"),
}
WITH_GAPS: dict[str, tuple[Callable[[], Any], str]] = {
    "encoder of nullable bools": (encoded, "boolean"),
    "imputer of numbers": (lambda: make_pipeline(SimpleImputer(), LogisticRegression()), "float"),
    "lightgbm of numbers": (lightgbm, "float"),
    "lightgbm of nullable bools": (lightgbm, "boolean"),
}


def shares(features: dict[str, Any]) -> list[float]:
    body = json.dumps({"features": {name: value for name, value in features.items() if not pd.isna(value)}})
    response = ApiClient().post("/api/v1/models/mine/predictions/", body)
    assert response.status_code in (200, 202), response.content
    output = Prediction.objects.get(pk=response.json()["id"]).output
    assert output
    return list(output["probabilities"].values())


def check(models: Path, model: Any, x: pd.DataFrame, frame: pd.DataFrame) -> None:
    """The column is asked as yes or no, and the answers are those of the estimator."""
    assert repository.describe(models, "mine").signature.by_name["member"].kind == "boolean"
    for place in range(4):
        own = model.predict_proba(x[place : place + 1])[0].tolist()
        assert shares(frame[COLUMNS].iloc[place].to_dict()) == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize("name", WITHOUT_GAPS)
def test_bools_are_asked_as_yes_or_no(bring: Bring, models: Path, name: str) -> None:
    make, fitted, in_file = WITHOUT_GAPS[name]
    x = FRAME[COLUMNS].astype({"member": fitted})
    model = make().fit(x, FRAME["y"])
    bring(model, FRAME.astype({"member": in_file}), "y")
    check(models, model, x, FRAME)


@pytest.mark.parametrize("name", WITH_GAPS)
def test_bools_with_gaps_are_asked_as_yes_or_no(bring: Bring, models: Path, name: str) -> None:
    make, fitted = WITH_GAPS[name]
    x = GAPS[COLUMNS].astype({"member": fitted})
    model = make().fit(x, GAPS["y"])
    bring(model, GAPS, "y")
    check(models, model, x, GAPS)


def test_nullable_bools_of_parquet_are_asked_as_yes_or_no(bring: Bring, models: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = FRAME.astype({"member": "boolean"})
    frame.to_parquet(tmp_path / "mine.parquet")
    model = encoded().fit(frame[COLUMNS], frame["y"])
    bring(model, frame, "y", "--data", str(tmp_path / "mine.parquet"))
    check(models, model, frame[COLUMNS], FRAME)


def test_texts_of_true_and_false_stay_texts_to_catboost(bring: Bring, models: Path) -> None:
    x = FRAME[COLUMNS].astype({"member": "str"})
    model = catboost().fit(x, FRAME["y"])
    bring(model, FRAME, "y")
    assert shares({"member": "True", "age": 50.0}) == pytest.approx(
        model.predict_proba(pd.DataFrame({"member": ["True"], "age": [50.0]}))[0].tolist()
    )


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [("member", None, "member: Please fill this in"), ("count", 1.5, "count: Must be a whole number")],
)
def test_held_out_value_that_the_training_type_cannot_hold_is_not_changed(
    bring: Bring, tmp_path: Path, column: str, value: Any, sentence: str
) -> None:
    """pandas makes true of a gap, and 1 of 1.5, where it converts a column to the type of the training data."""
    frame = FRAME.assign(count=np.arange(200))
    x = ["member", "age", "count"]
    later = frame[150:].astype({column: object})
    later.loc[160, column] = value
    later.to_csv(tmp_path / "held_out.csv", index=False)
    model = LogisticRegression(max_iter=2000).fit(frame[x][:150], frame["y"][:150])
    with pytest.raises(CommandError, match=rf"held-out data .*line 12\) does not fit model\.toml: {sentence}"):
        bring(model, frame[:150], "y", "--held-out", str(tmp_path / "held_out.csv"))
