"""Columns of a CSV that look like numbers or gaps are read as the estimator was fitted on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from predictions.models import Prediction
from predictions.serving.artifacts import repository
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient
from tests.support.text_steps import Dummies, first_digit, is_saxon, records

ROWS = 300
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {"zip": RANDOM.choice(["01067", "04109", "10115", "20095"], ROWS), "age": RANDOM.integers(18, 80, ROWS)}
)
FRAME["y"] = np.where(FRAME["zip"].str.startswith("0") ^ (RANDOM.random(ROWS) < 0.1), "yes", "no")
X = FRAME[["zip", "age"]]


def catboost(column: str = "zip") -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(iterations=20, verbose=0, allow_writing_files=False, cat_features=[column])


def line() -> LogisticRegression:
    return LogisticRegression(max_iter=999)


FITTED_ON_TEXTS: dict[str, Callable[[], Any]] = {
    "catboost": catboost,
    "dummies": lambda: make_pipeline(Dummies(), line()),
    "first digit": lambda: make_pipeline(
        FunctionTransformer(first_digit),
        make_column_transformer((OneHotEncoder(), ["zip"]), remainder="passthrough"),
        line(),
    ),
    "is in": lambda: make_pipeline(FunctionTransformer(is_saxon), line()),
    "dictionaries": lambda: make_pipeline(FunctionTransformer(records), DictVectorizer(), line()),
}


def answer(features: Any) -> dict[str, Any]:
    response = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps({"features": features}))
    assert response.status_code in (200, 202), response.content
    row = Prediction.objects.get(pk=response.json()["id"])
    assert row.output, row.error_code
    return row.output


def kinds(models: Path) -> dict[str, str]:
    return {feature.name: feature.kind for feature in repository.describe(models, "mine").signature.features}


@pytest.mark.parametrize("name", FITTED_ON_TEXTS)
def test_digits_stay_texts_if_the_estimator_was_fitted_on_texts(bring: Bring, models: Path, name: str) -> None:
    model = FITTED_ON_TEXTS[name]().fit(X, FRAME["y"])
    bring(model, FRAME, "y")

    assert kinds(models) == {"zip": "choice", "age": "integer"}
    for place in range(6):
        row = {"zip": FRAME["zip"][place], "age": int(FRAME["age"][place])}
        shares = dict(zip(["no", "yes"], model.predict_proba(X[place : place + 1])[0], strict=True))
        assert answer(row)["probabilities"] == pytest.approx(shares)


def test_held_out_rows_are_read_as_the_training_rows(bring: Bring, models: Path, tmp_path: Path) -> None:
    FRAME[200:].to_csv(tmp_path / "held_out.csv", index=False)
    model = catboost().fit(X[:200], FRAME["y"][:200])
    bring(model, FRAME[:200], "y", "--held-out", str(tmp_path / "held_out.csv"))
    own = (model.predict(X[200:]) == FRAME["y"][200:]).mean()
    assert repository.manifest(models, "mine", 1).metrics["accuracy"] == pytest.approx(own)


def test_held_out_digits_are_texts_if_the_training_rows_have_texts(bring: Bring, models: Path, tmp_path: Path) -> None:
    frame = FRAME.assign(zip=FRAME["zip"].replace({"10115": "unknown"}))
    held_out = frame[200:][frame["zip"][200:] != "unknown"]
    held_out.to_csv(tmp_path / "held_out.csv", index=False)
    model = make_pipeline(Dummies(), line()).fit(frame[:200][["zip", "age"]], frame["y"][:200])
    bring(model, frame[:200], "y", "--held-out", str(tmp_path / "held_out.csv"))
    own = (model.predict(held_out[["zip", "age"]]) == held_out["y"]).mean()
    assert repository.manifest(models, "mine", 1).metrics["accuracy"] == pytest.approx(own)


@pytest.mark.parametrize("coded", [True, False], ids=["codes of classes", "classes"])
def test_digits_are_numbers_if_the_answers_to_numbers_fit_the_target(bring: Bring, models: Path, coded: bool) -> None:
    """CatBoost takes the categories as numbers and as texts, but knows those on which it was fitted only."""
    truth = (FRAME["y"] == "yes").astype(int) if coded else FRAME["y"]
    said = bring(catboost().fit(X.astype({"zip": int}), truth), FRAME, "y")
    assert "`zip` has values such as '0" in said
    assert "they are read as pandas reads them, since the answers of the estimator fit the target better so" in said
    assert 1067 in repository.describe(models, "mine").signature.by_name["zip"].values  # type: ignore[union-attr]


def test_digits_are_numbers_to_an_estimator_that_fails_on_texts(bring: Bring, models: Path) -> None:
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=5, verbose=-1).fit(X.astype({"zip": int}), FRAME["y"])
    assert "are read" not in bring(model, FRAME, "y")
    assert kinds(models)["zip"] == "integer"


def test_digits_are_numbers_to_an_estimator_that_converts_texts_and_the_output_asks(bring: Bring, models: Path) -> None:
    said = bring(LinearRegression().fit(X.astype(int), FRAME["age"]), FRAME[["zip", "age"]].assign(y=FRAME["age"]), "y")
    assert "they are read as pandas reads them, since the estimator answers alike if they are read otherwise" in said
    assert kinds(models)["zip"] == "integer"


def test_digits_that_may_be_texts_are_refused_if_no_target_decides(bring: Bring, models: Path) -> None:
    frame = FRAME[["zip"]]
    model = make_pipeline(Dummies(), KMeans(4, n_init=1, random_state=0)).fit(frame)
    with pytest.raises(CommandError, match=r"column 'zip' has values such as '0\d+', and .* bring the data as Parquet"):
        bring(model, frame, None)
    assert not (models / "mine").exists()


def test_digits_of_a_parquet_file_are_texts(bring: Bring, models: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(tmp_path / "mine.parquet")
    model = make_pipeline(Dummies(), line()).fit(X, FRAME["y"])
    bring(model, FRAME, "y", "--data", str(tmp_path / "mine.parquet"))
    assert kinds(models)["zip"] == "choice"


@pytest.mark.parametrize("word", ["NA", "null", "None"])
@pytest.mark.parametrize("name", ["catboost", "dummies"])
def test_text_that_looks_like_a_gap_is_a_value_if_the_estimator_was_fitted_on_it(
    bring: Bring, name: str, word: str
) -> None:
    frame = pd.DataFrame({"land": np.array([word, "DE", "FR"])[np.arange(ROWS) % 3], "age": FRAME["age"]})
    frame["y"] = np.where((frame["land"] == word) ^ (RANDOM.random(ROWS) < 0.1), "yes", "no")
    model = catboost("land") if name == "catboost" else make_pipeline(Dummies(), line())
    model.fit(frame[["land", "age"]], frame["y"])
    bring(model, frame, "y")
    own = model.predict_proba(pd.DataFrame({"land": [word], "age": [40]}))[0]
    assert list(answer({"land": word, "age": 40})["probabilities"].values()) == pytest.approx(own.tolist())


def test_text_that_looks_like_a_gap_is_a_text_to_a_vectorizer(bring: Bring) -> None:
    frame = pd.DataFrame({"note": ["NA", "good one", "bad one"] * 20, "y": [1.0, 2.0, 3.0] * 20})
    model = make_pipeline(CountVectorizer(), LinearRegression()).fit(frame["note"], frame["y"])
    bring(model, frame, "y")
    assert answer({"note": "NA"})["value"] == pytest.approx(1.0)
