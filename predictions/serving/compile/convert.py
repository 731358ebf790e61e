"""Compiles an estimator to ONNX. Only training imports this module."""

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from predictions.serving.artifacts.manifest import Compiled, FloatType, Layout
from predictions.serving.compile import linear, steps, trees
from predictions.serving.compile.comparisons import InexactComparisonError, check_comparisons
from predictions.serving.compile.equivalence import NotCompiled, Rows, prove, said
from predictions.serving.engines.base import is_numeric
from predictions.serving.engines.onnx import TABLE, OnnxEngine, open_session
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Date, Signature, Text

# The newest opsets that skl2onnx writes. trees.py writes newer operators, and `set_opset` marks their opset.
OPSETS = {"": 18, "ai.onnx.ml": 3}
_SHORT_FLOATS = {"float16", "float32", "Float32"}

trees.register()
steps.register()
linear.register()


@dataclass(frozen=True, slots=True)
class Compilation:
    record: Compiled
    content: bytes


def compile_estimator(engine: SklearnEngine, rows: Rows) -> Compilation:
    """The estimator as ONNX, checked on the rows and on many similar ones. Raises NotCompiled."""
    if reason := _obstacle(engine):
        raise NotCompiled(reason)
    refusals = []
    for layout, float_type in _candidates(engine):
        try:
            _check_arithmetic(engine, float_type)
            content = _converted(engine, layout, float_type)
            return _proved(engine, content, layout, float_type, rows)
        except NotCompiled as refusal:
            refusals.append(refusal)
    # The refusal of a candidate that could be built tells more than a failure to build another candidate.
    raise next((refusal for refusal in refusals if refusal.__cause__ is None), refusals[0])


def _obstacle(engine: SklearnEngine) -> str | None:
    """The reason why such input is not compiled, or None. A comparison of rows might miss a difference there."""
    features, columns = engine.signature.features, engine.schema.columns
    if engine.targets:
        return "It has several targets."
    if not engine.batching:
        return "Its answer to a row depends on the rows beside it."
    if any(isinstance(feature, Text | Date) for feature in features):
        return "It reads raw texts or dates, which ONNX splits in another way."
    if any(not (is_numeric(feature) or feature.required) for feature in features):
        return "ONNX cannot express a missing text, and model.toml allows one."
    if any(column.categories is not None for column in columns):
        return "Its columns are categories, whose codes ONNX does not know."
    if len({column.dtype in _SHORT_FLOATS for column in columns}) > 1:
        return "Its columns are floats of different widths."
    return None


def _candidates(engine: SklearnEngine) -> Iterator[tuple[Layout, FloatType]]:
    """The forms of input to try, the most exact and the quickest first."""
    layouts: list[Layout] = ["table"] if all(map(is_numeric, engine.signature.features)) else []
    if engine.schema.container == "frame" or not layouts:
        layouts.append("columns")
    # An estimator that was trained on float32 gets each value rounded to float32.
    float_types: tuple[FloatType, ...] = ("float32",) if _is_short(engine) else ("float64", "float32")
    yield from ((layout, float_type) for float_type in float_types for layout in layouts)


def _is_short(engine: SklearnEngine) -> bool:
    return engine.schema.columns[0].dtype in _SHORT_FLOATS


def _check_arithmetic(engine: SklearnEngine, float_type: FloatType) -> None:
    """Raises NotCompiled where a rounding may change an answer, and no comparison of rows would show it."""
    try:
        check_comparisons(engine.estimator, float_type, is_short=_is_short(engine))
    except InexactComparisonError as error:
        raise NotCompiled(f"{error} compares numbers, which ONNX rounds in another way.") from error
    if float_type == "float32" and engine.classes and not hasattr(engine.estimator, "predict_proba"):
        raise NotCompiled("In float32 another class may win, and without probabilities close calls are not seen.")


def _converted(engine: SklearnEngine, layout: Layout, float_type: FloatType) -> bytes:
    types = _types(engine.signature, layout, float_type)
    try:
        # Probabilities as a tensor, not as a list of dictionaries.
        options = {id(engine.estimator): {"zipmap": False}} if is_classifier(engine.estimator) else None
        with warnings.catch_warnings(action="ignore"):
            try:
                graph = convert_sklearn(engine.estimator, initial_types=types, options=options, target_opset=OPSETS)
            except NameError:  # the converter has no such option: it gives a tensor anyway
                graph = convert_sklearn(engine.estimator, initial_types=types, target_opset=OPSETS)
        content: bytes = trees.set_opset(graph).SerializeToString()
    except Exception as error:  # a converter may raise anything
        raise NotCompiled(f"ONNX cannot express it: {said(error)}.") from error
    return content


def _types(signature: Signature, layout: Layout, float_type: FloatType) -> list[tuple[str, Any]]:
    numbers = DoubleTensorType if float_type == "float64" else FloatTensorType
    if layout == "table":
        return [(TABLE, numbers([None, len(signature.features)]))]
    return [
        (feature.name, (numbers if is_numeric(feature) else StringTensorType)([None, 1]))
        for feature in signature.features
    ]


def _proved(engine: SklearnEngine, content: bytes, layout: Layout, float_type: FloatType, rows: Rows) -> Compilation:
    try:
        session = open_session(content)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise NotCompiled(f"ONNX Runtime cannot run it: {said(error)}.") from error
    has_probabilities = hasattr(engine.estimator, "predict_proba")
    plain = OnnxEngine(
        session, engine.signature, engine.classes, layout, float_type, has_probabilities, 0.0, lambda: engine
    )
    proof = prove(engine, plain, rows)
    record = Compiled(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        layout=layout,
        float_type=float_type,
        tolerance=proof.tolerance,
        largest_difference=proof.largest_difference,
        tie_margin=proof.tie_margin,
        rows=proof.rows,
        predict_ms=proof.milliseconds,
    )
    return Compilation(record, content)
