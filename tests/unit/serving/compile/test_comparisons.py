"""Estimators that compare numbers: on data with few decimals a rounding decides, and no other answer may come of it."""

from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_outlier_detector
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor, RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from predictions.serving.compile import equivalence, perturbation
from predictions.serving.compile.convert import compile_estimator
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.onnx import OnnxEngine, open_session
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Signature
from predictions.serving.training.input_types import read_schema

FEW, MANY = 30, 4000


@pytest.fixture(autouse=True)
def _any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equivalence, "_quicker", lambda *_: 0.0)


def grid(count: int, seed: int) -> Any:
    """Numbers with one decimal, money with two, and whole numbers that may be missing."""
    random = np.random.default_rng(seed)
    whole = random.integers(0, 40, count).astype(float)
    whole[::9] = np.nan
    return np.column_stack([random.normal(5, 1, count).round(1), random.lognormal(7, 1, count).round(2), whole])


def signature(*, optional: bool = True) -> Signature:
    features = [{"kind": "number", "name": name} for name in "abc"]
    features[2]["required"] = not optional  # type: ignore[assignment]
    return Signature.model_validate(features)


def fitted(estimator: Any, *, optional: bool = True) -> SklearnEngine:
    x = np.nan_to_num(grid(400, 1), nan=np.nan if optional else 7.0)
    score = 10 * x[:, 0] + np.log(x[:, 1]) + np.random.default_rng(2).normal(0, 5, 400)
    own = clone(estimator).fit(x, np.where(score > 57, "high", "low") if is_classifier(estimator) else score.round(1))
    classes = [1, -1] if is_outlier_detector(own) else np.asarray(getattr(own, "classes_", [])).tolist()
    described = signature(optional=optional)
    return SklearnEngine(own, described, classes, read_schema("training", x, described))


def rows(count: int, seed: int, *, optional: bool = True) -> list[list[Any]]:
    x = np.nan_to_num(grid(count, seed), nan=np.nan if optional else 7.0)
    return [[None if value != value else value for value in row] for row in x.tolist()]


def boosting() -> Any:
    return HistGradientBoostingRegressor(max_iter=20)


def tree() -> Any:
    return DecisionTreeClassifier(max_depth=6, random_state=0)


EXACT = {
    "binarizer": make_pipeline(SimpleImputer(), Binarizer(threshold=5.1), LogisticRegression()),
    "bins of equal width": make_pipeline(
        SimpleImputer(), KBinsDiscretizer(5, strategy="uniform", encode="ordinal"), tree()
    ),
    "bins of equal size": make_pipeline(
        SimpleImputer(), KBinsDiscretizer(5, encode="onehot-dense"), LogisticRegression()
    ),
    "imputer": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), boosting()),
    "one column binarized": make_pipeline(
        make_column_transformer(
            (Binarizer(threshold=5.1), [0]), (make_pipeline(SimpleImputer(), StandardScaler()), [1, 2])
        ),
        LogisticRegression(),
    ),
    "union": make_pipeline(SimpleImputer(), make_union(StandardScaler(), Binarizer(threshold=5.1)), tree()),
    "selection": make_pipeline(SimpleImputer(), SelectKBest(k=2), boosting()),
    "standard scaler": make_pipeline(StandardScaler(), boosting()),
    "robust scaler": make_pipeline(RobustScaler(), boosting()),
    "range scaler": make_pipeline(MinMaxScaler(clip=True), boosting()),
    "largest value scaler": make_pipeline(MaxAbsScaler(), boosting()),
    "bagging": BaggingClassifier(make_pipeline(SimpleImputer(), StandardScaler(), tree()), 4, random_state=0),
    "search": GridSearchCV(
        make_pipeline(SimpleImputer(), StandardScaler(), tree()), {"decisiontreeclassifier__max_depth": [4]}, cv=2
    ),
    "stacking": make_pipeline(SimpleImputer(), StackingClassifier([("a", tree()), ("b", LogisticRegression())], cv=2)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_comparisons_are_compiled_exactly_on_data_with_few_decimals(name: str) -> None:
    """The compared rows are few, so that most values that tie are in none of them."""
    source = fitted(EXACT[name])
    made = compile_estimator(source, rows(FEW, 9))
    record = made.record
    session = open_session(made.content)
    has_probabilities = hasattr(source.estimator, "predict_proba")
    compiled = OnnxEngine(
        session, source.signature, source.classes, record.layout, record.float_type, has_probabilities,
        record.tie_margin, lambda: source,
    )  # fmt: skip
    asked = rows(MANY, 77)
    own, given = source.predict(asked), compiled.predict(asked)
    assert given.outputs == pytest.approx(own.outputs, rel=1e-12)
    if own.probabilities is not None:
        assert given.probabilities == pytest.approx(own.probabilities, abs=1e-9)


REFUSED = {
    "neighbours": (KNeighborsRegressor(5), "KNeighborsRegressor"),
    "scaled neighbours": (make_pipeline(StandardScaler(), KNeighborsClassifier(5)), "KNeighborsClassifier"),
    "neighbours in a radius": (RadiusNeighborsRegressor(1e6), "RadiusNeighborsRegressor"),
    "stacked neighbours": (
        StackingClassifier([("a", KNeighborsClassifier()), ("b", LogisticRegression())], cv=2), "KNeighborsClassifier",
    ),
    "imputed by neighbours": (make_pipeline(KNNImputer(), LogisticRegression()), "KNNImputer"),
    "outliers by neighbours": (LocalOutlierFactor(novelty=True), "LocalOutlierFactor"),
    "isolation forest": (IsolationForest(n_estimators=20, random_state=0), "IsolationForest"),
    "products before a tree": (make_pipeline(PolynomialFeatures(2), tree()), "DecisionTreeClassifier"),
    "products before a forest": (
        make_pipeline(PolynomialFeatures(2), RandomForestRegressor(9, random_state=0)), "RandomForestRegressor",
    ),
    "products before boosting": (make_pipeline(PolynomialFeatures(2), boosting()), "HistGradientBoostingRegressor"),
    "powers before a tree": (make_pipeline(PowerTransformer(), tree()), "DecisionTreeClassifier"),
    "sums before clusters": (make_pipeline(PCA(2), KMeans(3, n_init=1, random_state=0)), "KMeans"),
    "products in a branch": (
        make_pipeline(make_column_transformer((PolynomialFeatures(2), [0, 1]), (StandardScaler(), [2])), tree()),
        "DecisionTreeClassifier",
    ),
    "products in members": (
        BaggingClassifier(make_pipeline(PolynomialFeatures(2), tree()), 3, random_state=0), "DecisionTreeClassifier",
    ),
    "sums before bins": (
        make_pipeline(PCA(2), KBinsDiscretizer(4, encode="ordinal"), LogisticRegression()),
        "KBinsDiscretizer",
    ),
    "a tree over shares": (
        StackingClassifier([("a", LogisticRegression())], final_estimator=RandomForestClassifier(3), cv=2),
        "RandomForestClassifier",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_comparison_that_onnx_rounds_in_another_way_is_not_compiled(name: str) -> None:
    estimator, part = REFUSED[name]
    with pytest.raises(NotCompiled) as caught:
        compile_estimator(fitted(estimator, optional=False), rows(FEW, 9, optional=False))
    assert str(caught.value) == f"{part} compares numbers, which ONNX rounds in another way."


def test_label_without_probabilities_is_not_computed_in_float32() -> None:
    with pytest.raises(NotCompiled, match=r"^In float32 another class may win, and without probabilities close"):
        compile_estimator(fitted(OneClassSVM(), optional=False), rows(FEW, 9, optional=False))


def test_rows_on_the_grid_have_the_decimals_of_their_column() -> None:
    random, known = np.random.default_rng(0), rows(200, 9)
    made = perturbation.on_grid(known, signature(), 500, random)
    assert len(made) == 500
    numbers = [[row[place] for row in made if row[place] is not None] for place in range(3)]
    for column, decimals in zip(numbers, (1, 2, 0), strict=True):
        assert [round(value, decimals) for value in column] == column
    assert len({*numbers[1]} - {row[1] for row in known}) > 100  # half of the values are moved
    assert len({tuple(row) for row in made} & {tuple(row) for row in known}) < 5  # and they are combined anew


def test_numbers_with_many_decimals_have_no_grid() -> None:
    known: list[list[Any]] = [[value, value, 1.0] for value in np.random.default_rng(1).normal(size=50).tolist()]
    made = perturbation.on_grid(known, signature(), 100, np.random.default_rng(0))
    assert {row[0] for row in made} <= {row[0] for row in known}


def test_compiling_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime cannot run the products of several inputs, and would write its error there, beside raising it."""
    x = pd.DataFrame(rows(400, 1, optional=False), columns=list("abc"))
    own = make_pipeline(PolynomialFeatures(2), LogisticRegression(max_iter=999)).fit(x, x["a"] > 5)
    described = signature(optional=False)
    source = SklearnEngine(own, described, own.classes_.tolist(), read_schema("training", x, described))
    with suppress(NotCompiled):  # the products of one table differ too much
        compile_estimator(source, rows(FEW, 9, optional=False))
    assert capfd.readouterr() == ("", "")
