"""The answer to a row does not depend on the other rows of its call: random rows in random calls, many estimators."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMRegressor
from sklearn.base import is_classifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from predictions.serving.compile.convert import compile_estimator
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Engine, RawPredictions, differences
from predictions.serving.engines.onnx import OnnxEngine, open_session
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training.input_types import clean_rows, read_schema

FEATURES = [
    {"kind": "number", "name": "size", "required": False, "minimum": -50, "maximum": 50},
    {"kind": "integer", "name": "rooms", "required": False, "minimum": 0, "maximum": 9},
    {"kind": "choice", "name": "kind", "required": False, "choices": [["a", "A"], ["b", "B"], ["c", "C"]]},
    {"kind": "boolean", "name": "new", "required": False},
    {"kind": "date", "name": "day", "required": False},
]
MIXED = Signature.model_validate(FEATURES)
NUMBERS = Signature.model_validate(FEATURES[:2])
VALUES = {
    "size": st.none() | st.floats(-50, 50) | st.sampled_from([0.0, 0.5, -1.0]),
    "rooms": st.none() | st.integers(0, 9),
    "kind": st.sampled_from([None, "a", "b", "c"]),
    "new": st.sampled_from([None, False, True]),
    "day": st.none() | st.sampled_from(["2024-01-01", "2024-02-29", "1999-12-31"]),
}


def frame(missing: Any, dtypes: dict[str, str], *, gaps: bool) -> pd.DataFrame:
    random = np.random.default_rng(1)
    columns: dict[str, list[Any]] = {
        "size": random.normal(0, 10, 120).tolist(),
        "rooms": random.integers(0, 9, 120).tolist(),
        "kind": random.choice(["a", "b"], 120).tolist(),
        "new": random.choice([True, False], 120).tolist(),
        "day": [pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(n)) for n in random.integers(0, 90, 120)],
    }
    if gaps:
        for name, column in columns.items():
            for place in range(len(name) % 5, 120, 7):
                column[place] = missing if name == "kind" else None
    return pd.DataFrame({name: pd.Series(column, dtype=dtypes.get(name)) for name, column in columns.items()})


def as_text(table: Any) -> Any:
    return table.astype(str)


def day_number(table: Any) -> Any:
    return table.apply(lambda column: column.dt.day.astype(float)).fillna(-1.0)


def encoded(final: Any) -> Any:
    texts = make_pipeline(FunctionTransformer(as_text), OneHotEncoder(handle_unknown="ignore"))
    columns = make_column_transformer(
        (texts, ["rooms", "kind", "new"]), (FunctionTransformer(day_number), ["day"]), (SimpleImputer(), ["size"])
    )
    return make_pipeline(columns, final)


def numeric(final: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), final)


def boosted_columns(table: Any) -> Any:
    return table[["size", "kind"]]


CATEGORY = pd.CategoricalDtype(["c", "a", "b"], ordered=True)
TYPED: dict[str, Callable[[], tuple[Any, Any, Signature]]] = {
    "objects with NaN": lambda: (encoded(LinearRegression()), frame(np.nan, {"kind": "object"}, gaps=True), MIXED),
    "objects with None": lambda: (encoded(LogisticRegression()), frame(None, {"kind": "object"}, gaps=True), MIXED),
    "whole numbers and booleans": lambda: (
        encoded(LinearRegression()),
        frame(None, {"rooms": "int64", "new": "bool"}, gaps=False),
        MIXED,
    ),
    "nullable": lambda: (
        encoded(LogisticRegression()),
        frame(None, {"rooms": "Int64", "new": "boolean", "size": "Float64", "kind": "string"}, gaps=True),
        MIXED,
    ),
    "categories": lambda: (
        make_pipeline(FunctionTransformer(boosted_columns), LGBMRegressor(n_estimators=5, verbose=-1)),
        frame(None, {"kind": CATEGORY}, gaps=True),  # type: ignore[dict-item]
        MIXED,
    ),
    "float array": lambda: (numeric(LogisticRegression()), numbers(np.float64), NUMBERS),
    "short floats": lambda: (HistGradientBoostingRegressor(max_iter=5), numbers(np.float32), NUMBERS),
    "whole numbers in an array": lambda: (
        numeric(LinearRegression()),
        numbers(np.float64).round().astype(int),
        NUMBERS,
    ),
    "boosted": lambda: (HistGradientBoostingClassifier(max_iter=5), numbers(np.float64), NUMBERS),
    "forest": lambda: (RandomForestClassifier(5, random_state=0), numbers(np.float64), NUMBERS),
    "tree": lambda: (DecisionTreeRegressor(max_depth=4), numbers(np.float64), NUMBERS),
    "object array": lambda: (numeric(LinearRegression()), numbers(np.float64).astype(object), NUMBERS),
}


def numbers(dtype: Any) -> Any:
    random = np.random.default_rng(2)
    return np.column_stack([random.normal(0, 10, 120), random.integers(0, 9, 120)]).astype(dtype)


@cache
def engines(name: str) -> list[tuple[Engine, float, Signature]]:
    estimator, x, signature = TYPED[name]()
    y = np.arange(120.0) % 17
    estimator.fit(x, np.where(y > 8, "high", "low") if is_classifier(estimator) else y)
    classes = np.asarray(getattr(estimator, "classes_", [])).tolist()
    own = SklearnEngine(estimator, signature, classes, read_schema("training", x, signature))
    found: list[tuple[Engine, float, Signature]] = [(own, ABSOLUTE_TOLERANCE, signature)]
    try:
        made = compile_estimator(own, clean_rows("training", x, signature))
    except NotCompiled:
        return found
    record, session = made.record, open_session(made.content)
    has_probabilities = hasattr(estimator, "predict_proba")
    options = (record.layout, record.float_type, has_probabilities, record.tie_margin)
    compiled = OnnxEngine(session, signature, classes, *options, lambda: own)
    return [*found, (compiled, max(record.tolerance, ABSOLUTE_TOLERANCE), signature)]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", TYPED)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_row_is_answered_alike_alone_and_in_any_company(name: str, data: st.DataObject) -> None:
    for engine, tolerance, signature in engines(name):
        row = st.tuples(*(VALUES[feature] for feature in signature.names)).map(list)
        rows: list[list[Value]] = [signature.clean(given) for given in data.draw(st.lists(row, min_size=2, max_size=8))]
        alone = [answer for given in rows if (answer := _answer(engine, [given])) is not None]
        if len(alone) == len(rows):  # an estimator may refuse a row, and then every call with that row fails
            assert differences(_joined(alone), engine.predict(rows), tolerance) == []


def _answer(engine: Engine, rows: list[list[Value]]) -> RawPredictions | None:
    try:
        return engine.predict(rows)
    except ValueError:
        return None


def _joined(answers: list[RawPredictions]) -> RawPredictions:
    shares = [answer.probabilities for answer in answers if answer.probabilities is not None]
    outputs = np.concatenate([answer.outputs for answer in answers])
    return RawPredictions(outputs, np.concatenate(shares) if shares else None)
