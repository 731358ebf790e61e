"""Fitted estimators of the kinds that people bring, each with the rows on which it was fitted."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from tests.support.estimators import Duck, Wrapped

ROWS = 120
NUMBERS = ["mean radius", "weight", "count"]
WORDS = ["good", "bad", "slow", "quick", "warm", "cold", "late", "early"]


class Case(NamedTuple):
    """`x` are the rows as the estimator takes them, `frame` is what the file holds. `target` may name several: a,b."""

    estimator: Any
    x: Any
    frame: pd.DataFrame
    target: str | None


CASES: dict[str, Callable[[], Case]] = {}


def case(make: Callable[[], Case]) -> Callable[[], Case]:
    CASES[make.__name__] = make
    return make


def table(*, gaps: bool = False) -> pd.DataFrame:
    """Numbers with a space in a name, whole numbers, texts that may be missing, and targets of both tasks."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "mean radius": random.normal(14, 3, ROWS).round(3),
            "weight": random.uniform(0, 1, ROWS).round(4),
            "count": random.integers(0, 40, ROWS),
            "city": random.choice(["Ulm", "Bonn", "Jena"], ROWS),
            "grade": random.choice(["a", "b", "c"], ROWS),
        }
    )
    score = frame["mean radius"] + 4 * (frame["city"] == "Ulm") + frame["count"] / 20 + random.normal(0, 1, ROWS)
    frame["price"] = score.round(3)
    frame["ill"] = np.where(score > score.median(), "yes", "no")
    frame["code"] = np.digitize(score, score.quantile([0.33, 0.66]))
    if gaps:
        frame.loc[::7, "mean radius"] = np.nan
        frame.loc[::5, "city"] = np.nan
    return frame


def fitted(estimator: Any, columns: list[str], target: str, *, gaps: bool = False) -> Case:
    frame = table(gaps=gaps)[[*columns, target]]
    return Case(estimator.fit(frame[columns], frame[target]), frame[columns], frame, target)


def with_categories(estimator: Any, target: str, **options: Any) -> Case:
    """An estimator fitted on columns of dtype category with missing values. The file holds these columns as texts."""
    frame = table(gaps=True)[[*NUMBERS, "city", target]]
    x = frame.drop(columns=target).astype({"city": "category"})
    return Case(estimator.fit(x, frame[target], **options), x, frame, target)


@case
def linear() -> Case:
    return fitted(Ridge(), NUMBERS, "price")


@case
def numbered_columns() -> Case:
    frame = table()[["weight", "count", "ill"]]
    x = frame[["weight", "count"]].to_numpy()
    return Case(LogisticRegression().fit(x, frame["ill"]), x, frame, "ill")


@case
def own_class_without_underscores() -> Case:
    return fitted(Wrapped(), NUMBERS, "price")


@case
def own_regressor_without_base_class() -> Case:
    return fitted(Duck(Ridge()), NUMBERS, "price")


@case
def own_classifier_without_base_class() -> Case:
    return fitted(Duck(LogisticRegression(max_iter=999)), NUMBERS, "ill")


@case
def forest_classifier() -> Case:
    return fitted(RandomForestClassifier(10, random_state=0), NUMBERS, "ill")


@case
def forest_regressor() -> Case:
    return fitted(RandomForestRegressor(10, random_state=0), NUMBERS, "price")


@case
def histogram_boosting() -> Case:
    model = HistGradientBoostingClassifier(max_iter=10, categorical_features="from_dtype")
    return with_categories(model, "ill")


@case
def svm() -> Case:
    return fitted(make_pipeline(StandardScaler(), SVC()), NUMBERS, "ill")


@case
def svm_with_probabilities() -> Case:
    return fitted(make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(), ensemble=False)), NUMBERS, "ill")


@case
def svm_with_its_own_probabilities() -> Case:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # scikit-learn will drop the parameter; people have such files
        return fitted(make_pipeline(StandardScaler(), SVC(probability=True, random_state=0)), NUMBERS, "ill")


@case
def neighbours() -> Case:
    return fitted(make_pipeline(StandardScaler(), KNeighborsClassifier()), NUMBERS, "code")


@case
def gaussian_process() -> Case:
    return fitted(GaussianProcessRegressor(alpha=1.0, random_state=0), NUMBERS, "price")


@case
def neural_network() -> Case:
    net = MLPClassifier((5,), max_iter=300, random_state=0, solver="lbfgs")
    return fitted(make_pipeline(StandardScaler(), net), NUMBERS, "ill")


@case
def stacking() -> Case:
    parts = [("tree", DecisionTreeClassifier(max_depth=3, random_state=0)), ("line", LogisticRegression(max_iter=500))]
    return fitted(StackingClassifier(parts, cv=3), NUMBERS, "ill")


@case
def calibrated() -> Case:
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    return fitted(CalibratedClassifierCV(tree, cv=3), NUMBERS, "ill")


@case
def grid_search() -> Case:
    return fitted(GridSearchCV(mixed_columns(), {"logisticregression__C": [0.1, 1.0]}, cv=3), COLUMNS, "ill", gaps=True)


COLUMNS = [*NUMBERS, "city", "grade"]


def mixed_columns() -> Pipeline:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore"))
    steps = make_column_transformer((numbers, NUMBERS), (texts, ["city"]), (OneHotEncoder(), ["grade"]))
    return make_pipeline(steps, LogisticRegression(max_iter=500))


@case
def mixed_with_missing_values() -> Case:
    return fitted(mixed_columns(), COLUMNS, "ill", gaps=True)


@case
def ordinal_codes() -> Case:
    steps = make_column_transformer((OrdinalEncoder(), ["grade"]), ("passthrough", NUMBERS))
    return fitted(make_pipeline(steps, RandomForestRegressor(5, random_state=0)), [*NUMBERS, "grade"], "price")


@case
def text() -> Case:
    random = np.random.default_rng(1)
    notes = [" ".join(random.choice(WORDS, 5)) for _ in range(ROWS)]
    frame = pd.DataFrame({"note": notes, "mood": ["up" if "good" in note else "down" for note in notes]})
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    return Case(model.fit(frame["note"], frame["mood"]), frame["note"], frame, "mood")


@case
def choice_with_gaps_filled_by_the_empty_text() -> Case:
    frame = table(gaps=True)[["weight", "city", "ill"]]
    x = frame[["weight", "city"]].fillna({"city": ""})
    steps = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough")
    return Case(make_pipeline(steps, LogisticRegression()).fit(x, frame["ill"]), x, frame, "ill")


@case
def text_with_gaps_filled_by_the_empty_text() -> Case:
    frame = text().frame.assign(weight=table()["weight"])
    frame.loc[::5, "note"] = None
    x = frame[["weight", "note"]].fillna({"note": ""})
    steps = make_column_transformer((TfidfVectorizer(), "note"), remainder="passthrough")
    return Case(make_pipeline(steps, LogisticRegression()).fit(x, frame["mood"]), x, frame, "mood")


@case
def outliers() -> Case:
    frame = table()[NUMBERS]
    return Case(IsolationForest(n_estimators=20, random_state=0).fit(frame), frame, frame, None)


@case
def clusters() -> Case:
    frame = table()[NUMBERS]
    model = make_pipeline(StandardScaler(), KMeans(3, n_init=1, random_state=0))
    return Case(model.fit(frame), frame, frame, None)


@case
def partial_least_squares() -> Case:
    return fitted(PLSRegression(2), NUMBERS, "price")


def several(estimator: Any, targets: list[str]) -> Case:
    frame = table().assign(
        hot=lambda rows: (rows["price"] > rows["price"].median()).astype(int), big=lambda rows: (rows["count"] > 20) * 1
    )[[*NUMBERS[:2], *targets]]
    x = frame[NUMBERS[:2]]
    return Case(estimator.fit(x, frame[targets]), x, frame, ",".join(targets))


@case
def several_numbers() -> Case:
    return several(RandomForestRegressor(9, random_state=0), ["price", "count"])


@case
def several_numbers_by_least_squares() -> Case:
    return several(PLSRegression(2), ["price", "count"])


@case
def several_classes() -> Case:
    return several(MultiOutputClassifier(LogisticRegression()), ["ill", "grade"])


@case
def several_numbers_one_estimator_each() -> Case:
    return several(MultiOutputRegressor(Ridge()), ["price", "count"])


@case
def several_numbers_by_a_neural_network() -> Case:
    net = MLPRegressor(hidden_layer_sizes=(5,), max_iter=300, random_state=0, solver="lbfgs")
    return several(make_pipeline(StandardScaler(), net), ["price", "count"])


@case
def several_classes_by_a_forest() -> Case:
    return several(RandomForestClassifier(9, random_state=0), ["ill", "grade"])


@case
def several_classes_by_neighbours() -> Case:
    return several(make_pipeline(StandardScaler(), KNeighborsClassifier()), ["ill", "grade"])


@case
def several_labels() -> Case:
    return several(MLPClassifier((5,), max_iter=300, random_state=0, solver="lbfgs"), ["hot", "big"])


@case
def xgboost_with_categories() -> Case:
    from xgboost import XGBClassifier

    frame = table(gaps=True)[[*NUMBERS, "city", "code"]]
    x = frame.drop(columns="code").astype({"city": "category"})
    return Case(XGBClassifier(n_estimators=8, enable_categorical=True).fit(x, frame["code"]), x, frame, "code")


@case
def xgboost_in_a_pipeline() -> Case:
    from xgboost import XGBRegressor

    steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough")
    return fitted(make_pipeline(steps, XGBRegressor(n_estimators=8)), [*NUMBERS, "city"], "price", gaps=True)


@case
def lightgbm_with_categories() -> Case:
    from lightgbm import LGBMClassifier

    return with_categories(LGBMClassifier(n_estimators=8, verbose=-1), "ill")


@case
def lightgbm_with_an_ordered_category() -> Case:
    """LightGBM takes an ordered category for a number, and keeps its categories all the same."""
    from lightgbm import LGBMClassifier

    frame = table()[["city", "grade", "weight", "code"]]
    ordered = pd.CategoricalDtype(["c", "a", "b"], ordered=True)
    x = frame.drop(columns="code").astype({"city": "category", "grade": ordered})
    return Case(LGBMClassifier(n_estimators=8, verbose=-1).fit(x, frame["code"]), x, frame, "code")


@case
def lightgbm_in_a_pipeline() -> Case:
    from lightgbm import LGBMRegressor

    steps = make_column_transformer((OrdinalEncoder(), ["grade"]), remainder="passthrough")
    steps.set_output(transform="pandas")
    model = make_pipeline(steps, LGBMRegressor(n_estimators=8, verbose=-1))
    return fitted(model, [*NUMBERS, "grade"], "price", gaps=True)


@case
def catboost_with_categories() -> Case:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(iterations=8, verbose=0, allow_writing_files=False, cat_features=["city", "grade"])
    return fitted(model, COLUMNS, "ill")


@case
def catboost_in_a_pipeline() -> Case:
    from catboost import CatBoostRegressor

    steps = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["city"]), remainder="passthrough")
    model = CatBoostRegressor(iterations=8, verbose=0, allow_writing_files=False)
    return fitted(make_pipeline(steps, model), [*NUMBERS, "city"], "price", gaps=True)


def without_names(estimator: Any) -> Case:
    """An estimator fitted on an array. LightGBM and CatBoost then count the columns, and keep the numbers as names."""
    frame = table()[["weight", "count", "code"]]
    x = frame[["weight", "count"]].to_numpy()
    return Case(estimator.fit(x, frame["code"]), x, frame, "code")


@case
def lightgbm_without_names() -> Case:
    from lightgbm import LGBMClassifier

    return without_names(LGBMClassifier(n_estimators=8, verbose=-1))


@case
def catboost_without_names() -> Case:
    from catboost import CatBoostClassifier

    return without_names(CatBoostClassifier(iterations=8, verbose=0, allow_writing_files=False))
