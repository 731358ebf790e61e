"""Compiles an estimator to ONNX. Only where versions are made."""

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from predictions.serving.artifacts.repository import Compiled, Layout, Number
from predictions.serving.compile import trees
from predictions.serving.compile.equivalence import NotCompiled, Rows, prove, said
from predictions.serving.engines.base import is_numeric
from predictions.serving.engines.onnx import TABLE, OnnxEngine, open_session
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Signature

# The newest that skl2onnx writes; trees.py marks what it writes itself.
OPSETS = {"": 18, "ai.onnx.ml": 3}

trees.register()


@dataclass(frozen=True, slots=True)
class Compilation:
    record: Compiled
    content: bytes


def compile_estimator(oracle: SklearnEngine, rows: Rows) -> Compilation:
    """The estimator as ONNX, proved on the rows and on many around them. Raises NotCompiled."""
    if any(not (is_numeric(f) or f.required) for f in oracle.signature.features):
        raise NotCompiled("ONNX has no word for a text that is missing, and model.toml allows one to be.")
    refusals = []
    for layout, number in _candidates(oracle):
        try:
            content = _converted(oracle, layout, number)
            return _proved(oracle, content, layout, number, rows)
        except NotCompiled as refusal:
            refusals.append(refusal)
    # What a candidate that could be built said is worth more than why another could not be.
    raise next((refusal for refusal in refusals if refusal.__cause__ is None), refusals[0])


def _candidates(oracle: SklearnEngine) -> Iterator[tuple[Layout, Number]]:
    """The forms of input to try, the most exact and the quickest first."""
    layouts: list[Layout] = ["table"] if all(map(is_numeric, oracle.signature.features)) else []
    if oracle.input == "frame" or not layouts:
        layouts.append("columns")
    numbers: tuple[Number, ...] = ("float64", "float32")
    yield from ((layout, number) for number in numbers for layout in layouts)


def _converted(oracle: SklearnEngine, layout: Layout, number: Number) -> bytes:
    types = _types(oracle.signature, layout, number)
    # Probabilities as a tensor, not as a list of dictionaries.
    options = {id(oracle.estimator): {"zipmap": False}} if is_classifier(oracle.estimator) else None
    try:
        with warnings.catch_warnings(action="ignore"):
            try:
                graph = convert_sklearn(oracle.estimator, initial_types=types, options=options, target_opset=OPSETS)
            except NameError:  # it has no such option, since it gives a tensor anyhow
                graph = convert_sklearn(oracle.estimator, initial_types=types, target_opset=OPSETS)
        content: bytes = trees.mark(graph).SerializeToString()
    except Exception as error:  # a converter may raise anything
        raise NotCompiled(f"ONNX cannot express it: {said(error)}.") from error
    return content


def _types(signature: Signature, layout: Layout, number: Number) -> list[tuple[str, Any]]:
    numbers = DoubleTensorType if number == "float64" else FloatTensorType
    if layout == "table":
        return [(TABLE, numbers([None, len(signature.features)]))]
    return [
        (feature.name, (numbers if is_numeric(feature) else StringTensorType)([None, 1]))
        for feature in signature.features
    ]


def _proved(oracle: SklearnEngine, content: bytes, layout: Layout, number: Number, rows: Rows) -> Compilation:
    try:
        session = open_session(content)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise NotCompiled(f"ONNX Runtime cannot run it: {said(error)}.") from error
    has_probabilities = hasattr(oracle.estimator, "predict_proba")
    plain = OnnxEngine(
        session, oracle.signature, oracle.classes, layout, number, has_probabilities, 0.0, lambda: oracle
    )
    proof = prove(oracle, plain, rows)
    record = Compiled(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        layout=layout,
        number=number,
        tolerance=proof.tolerance,
        largest_difference=proof.largest_difference,
        doubt=proof.doubt,
        rows=proof.rows,
        predict_ms=proof.milliseconds,
    )
    return Compilation(record, content)
