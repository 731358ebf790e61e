"""Estimators that are compiled, and the reasons why others are not."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from predictions.serving.compile import convert, equivalence
from predictions.serving.compile.convert import Compilation, compile_estimator
from predictions.serving.compile.equivalence import NotCompiled
from predictions.serving.engines.onnx import OnnxEngine, open_session
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training.input_types import read_schema
from tests.unit.serving import estimators

ABC = [
    {"kind": "number", "name": "a"},
    {"kind": "number", "name": "b"},
    {"kind": "integer", "name": "c", "minimum": 0, "maximum": 9},
]
NUMBERS = Signature.model_validate(ABC)
OPTIONAL = Signature.model_validate([{**feature, "required": False} for feature in ABC])
MIXED = Signature.model_validate(
    [
        {"kind": "number", "name": "a"},
        {"kind": "choice", "name": "colour", "choices": [["red", "Red"], ["blue", "Blue"], ["grey", "Grey"]]},
        {"kind": "boolean", "name": "new"},
    ]
)


@pytest.fixture(autouse=True)
def _any_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the speed out: tiny estimators are quick anyway, and other processes disturb the measurement."""
    monkeypatch.setattr(equivalence, "_quicker", lambda *_: 0.0)


def numbers() -> tuple[Any, Any]:
    random = np.random.default_rng(5)
    x = np.column_stack([random.normal(10, 3, 150), random.normal(0, 1, 150), random.integers(0, 10, 150)])
    return x, x[:, 0] + 2 * x[:, 1] + random.normal(0, 0.5, 150)


def mixed() -> tuple[Any, Any]:
    random = np.random.default_rng(6)
    colours = random.choice(["red", "blue"], 150)
    a, new = random.normal(10, 3, 150), random.integers(0, 2, 150).astype(float)
    x = np.empty((150, 3), dtype=object)
    x[:, 0], x[:, 1], x[:, 2] = a, colours, new
    return x, np.where(a + 3 * (colours == "red") + new > 12, "yes", "no")


def fitted(estimator: Any, x: Any, y: Any, signature: Signature = NUMBERS) -> SklearnEngine:
    if is_classifier(estimator) and y.dtype.kind == "f":
        y = np.where(y > 10, "high", np.where(y > 8, "middle", "low"))
    estimator.fit(x, y)
    classes = np.asarray(getattr(estimator, "classes_", [])).tolist()
    return SklearnEngine(estimator, signature, classes, read_schema("training", x, signature))


def cleaned(x: Any, signature: Signature = NUMBERS) -> list[list[Value]]:
    rows = x.tolist()
    if signature is MIXED:
        rows = [[a, colour, bool(new)] for a, colour, new in rows]
    return [signature.clean(row) for row in rows]


def engine(source: SklearnEngine, made: Compilation) -> OnnxEngine:
    record = made.record
    has_probabilities = hasattr(source.estimator, "predict_proba")
    return OnnxEngine(
        open_session(made.content),
        source.signature,
        source.classes,
        record.layout,
        record.float_type,
        has_probabilities,
        record.tie_margin,
        lambda: source,
    )


EXACT = [
    DecisionTreeClassifier(max_depth=4),
    DecisionTreeRegressor(max_depth=4),
    RandomForestClassifier(20, random_state=0),
    RandomForestClassifier(20, min_samples_leaf=5, random_state=0),
    ExtraTreesClassifier(20, random_state=0),
    RandomForestRegressor(20, random_state=0),
    HistGradientBoostingRegressor(max_iter=20),
    make_pipeline(StandardScaler(), RandomForestRegressor(10, random_state=0)),
]
CLOSE = [
    LogisticRegression(),
    LinearRegression(),
    LinearDiscriminantAnalysis(),
    GaussianNB(),
    HistGradientBoostingClassifier(max_iter=20),
    HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    SVR(),
    GradientBoostingRegressor(n_estimators=10),
    GradientBoostingRegressor(n_estimators=10, loss="huber", init="zero"),
    GradientBoostingRegressor(n_estimators=10, loss="quantile", alpha=0.8),
    GradientBoostingClassifier(n_estimators=10),
    make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=10, subsample=0.5, random_state=0)),
    SVC(),
    RidgeClassifier(),
    make_pipeline(StandardScaler(), LinearSVC()),
]


@pytest.mark.parametrize("estimator", EXACT, ids=lambda e: type(e).__name__)
def test_trees_are_compiled_to_the_last_bit(estimator: Any) -> None:
    x, y = numbers()
    source = fitted(clone(estimator), x, y, OPTIONAL)
    record = compile_estimator(source, cleaned(x)).record
    assert (record.largest_difference, record.tie_margin, record.float_type) == (0.0, 0.0, "float64")


@pytest.mark.parametrize("estimator", CLOSE, ids=lambda e: type(e).__name__)
def test_compiled_answers_as_the_estimator_does(estimator: Any) -> None:
    x, y = numbers()
    estimator = clone(estimator)
    source = fitted(estimator, x, y - y.min() if getattr(estimator, "loss", "") == "poisson" else y)
    made = compile_estimator(source, cleaned(x))
    rows = cleaned(np.random.default_rng(9).normal([10, 0, 4], [6, 2, 0], (500, 3)))
    own, given = source.predict(rows), engine(source, made).predict(rows)
    if source.classes:
        assert given.outputs.tolist() == own.outputs.tolist()
    else:
        assert given.outputs.tolist() == pytest.approx(own.outputs.tolist(), abs=made.record.tolerance)
    assert (given.probabilities is None) == (own.probabilities is None)
    if own.probabilities is not None:
        assert given.probabilities == pytest.approx(own.probabilities, abs=made.record.tolerance)
    assert made.record.largest_difference <= made.record.tolerance
    assert made.record.rows > 2000


@pytest.mark.parametrize("loss", ["log_loss", "exponential"])
def test_boosted_trees_of_two_classes_are_compiled_in_doubles(loss: str) -> None:
    x, y = numbers()
    source = fitted(GradientBoostingClassifier(n_estimators=10, loss=loss), x, np.where(y > 10, 1, 0))
    record = compile_estimator(source, cleaned(x)).record
    assert record.float_type == "float64"
    assert record.largest_difference < 1e-12


def skewed() -> tuple[Any, Any]:
    """Numbers of which the largest are a million times the smallest."""
    random = np.random.default_rng(7)
    x = np.column_stack([random.normal(10, 3, 300), random.normal(0, 1, 300), random.integers(0, 10, 300)])
    return x, np.exp(0.6 * x[:, 0] + random.normal(0, 2, 300))


def test_small_answers_beside_large_ones_keep_their_digits() -> None:
    x, y = skewed()
    source = fitted(GradientBoostingRegressor(n_estimators=100, random_state=0), x, y)
    made = compile_estimator(source, cleaned(x))
    own, given = (one.predict(cleaned(x)).outputs for one in (source, engine(source, made)))
    assert given == pytest.approx(own, rel=1e-9)
    polynomial = make_pipeline(PolynomialFeatures(2), StandardScaler(), LinearRegression())
    assert refusal(fitted(polynomial, x, y), cleaned(x)).startswith("Compiled, its numbers differ: ")


def test_estimator_answers_where_float32_overflows_inside() -> None:
    x, y = numbers()
    source = fitted(make_pipeline(PolynomialFeatures(2), LinearRegression()), x, y + 1000)
    made = compile_estimator(source, cleaned(x))
    row = [3e19, 0.0, 1]  # float32 holds the value, but not its square
    assert made.record.float_type == "float32"
    assert engine(source, made).predict([row]).outputs.tolist() == source.predict([row]).outputs.tolist()


def encoding(final: Any) -> Any:
    columns = ColumnTransformer([("one", OneHotEncoder(handle_unknown="ignore"), [1]), ("rest", "passthrough", [0, 2])])
    return make_pipeline(columns, final)


@pytest.mark.parametrize("final", [LogisticRegression(), RandomForestClassifier(10, random_state=0)])
def test_encoders_are_compiled_with_a_column_per_feature(final: Any) -> None:
    x, y = mixed()
    source = fitted(encoding(final), x, y, MIXED)
    made = compile_estimator(source, cleaned(x, MIXED))
    assert made.record.layout == "columns"
    rows: list[list[Value]] = [[12.0, "red", True], [9.0, "blue", False], [9.0, "grey", True]]
    own, given = source.predict(rows), engine(source, made).predict(rows)
    assert given.outputs.tolist() == own.outputs.tolist()
    assert given.probabilities == pytest.approx(own.probabilities, abs=made.record.tolerance)


def test_forest_that_ties_keeps_the_estimators_label() -> None:
    x, y = numbers()
    source = fitted(ExtraTreesClassifier(2, random_state=0), x, np.where(y > 10, 1, 0))
    made = compile_estimator(source, cleaned(x))
    rows = cleaned(np.random.default_rng(9).normal([10, 0, 4], [3, 1, 0], (2000, 3)))
    own, given = source.predict(rows), engine(source, made).predict(rows)
    assert own.probabilities is not None
    assert (own.probabilities[:, 0] == own.probabilities[:, 1]).sum() > 20
    assert given.outputs.tolist() == own.outputs.tolist()


def refusal(source: SklearnEngine, rows: list[list[Value]]) -> str:
    with pytest.raises(NotCompiled) as caught:
        compile_estimator(source, rows)
    return str(caught.value)


def test_custom_estimator_is_not_compiled() -> None:
    x, y = numbers()
    assert refusal(fitted(estimators.Sum(), x, y), cleaned(x)).startswith("ONNX cannot express it: ")


def test_estimator_that_rounding_changes_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With float32 as the only candidate, steep probabilities differ too much."""
    x, y = numbers()
    monkeypatch.setattr(convert, "_candidates", lambda _: [("table", "float32")])
    steep = fitted(LogisticRegression(C=1e9), x, y)
    steep.estimator.coef_ *= 100
    steep.estimator.intercept_ *= 100
    assert refusal(steep, cleaned(x)).startswith("Compiled, its numbers differ by up to ")


def test_label_that_differs_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = numbers()
    source = fitted(SVC(), x, y)
    shuffled = SklearnEngine(source.estimator, NUMBERS, source.classes[::-1], source.schema)
    # The estimator's labels are in another order than those of the compiled one.
    monkeypatch.setattr(SklearnEngine, "predict", lambda self, rows: _reversed(source, rows))
    assert "another label to" in refusal(shuffled, cleaned(x))


def _reversed(source: SklearnEngine, rows: Any) -> Any:
    from predictions.serving.engines.base import RawPredictions, positions
    from predictions.serving.engines.table import build_table

    labels = source.estimator.predict(build_table(rows, source.schema)).tolist()
    return RawPredictions(positions(labels, source.classes), None)


def test_estimator_that_refuses_missing_values_where_the_compiled_would_answer() -> None:
    x, y = numbers()
    made_up = "Compiled, it answers rows on which it fails itself."
    assert refusal(fitted(GradientBoostingRegressor(n_estimators=10), x, y, OPTIONAL), cleaned(x)) == made_up


def test_estimator_that_fails_on_rows_around() -> None:
    x, y = numbers()
    source = fitted(LinearRegression(), x, y)
    source.estimator.coef_ = np.array([np.inf, 0.0, 0.0])
    assert refusal(source, cleaned(x)).startswith("Its own answers to rows that model.toml allows are not all finite")


def test_raw_text_is_not_compiled() -> None:
    signature = Signature.model_validate([{"kind": "text", "name": "words", "required": False}])
    vectors = ColumnTransformer([("words", CountVectorizer(), 0)])
    x = np.array([["good day"], ["bad day"]] * 10, dtype=object)
    source = fitted(make_pipeline(vectors, LogisticRegression()), x, np.array([1, 0] * 10), signature)
    assert "raw texts" in refusal(source, [["good day"]])


def test_what_is_no_quicker_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    x, y = numbers()
    monkeypatch.setattr(equivalence, "_milliseconds", lambda engine, _: float(isinstance(engine, OnnxEngine)))
    assert refusal(fitted(LogisticRegression(), x, y), cleaned(x)) == "Compiled, it is no quicker."


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", [RidgeClassifier(), LinearSVC()], ids=lambda e: type(e).__name__)
def test_labels_of_linear_classifiers_are_computed_in_doubles(estimator: Any, classes: int) -> None:
    x, y = numbers()
    made_of = np.digitize(y, np.quantile(y, np.linspace(0, 1, classes + 1)[1:-1]))
    source = fitted(make_pipeline(StandardScaler(), clone(estimator)), x, made_of)
    made = compile_estimator(source, cleaned(x))
    assert made.record.float_type == "float64"
    rows = cleaned(np.random.default_rng(9).normal([10, 0, 4], [6, 2, 0], (500, 3)))
    assert engine(source, made).predict(rows).outputs.tolist() == source.predict(rows).outputs.tolist()
