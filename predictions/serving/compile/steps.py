"""Steps before an estimator as ONNX without rounding.

skl2onnx rounds the thresholds of KBinsDiscretizer and the values of SimpleImputer to float32, and its Binarizer gives 1
to a value that equals the threshold, where scikit-learn gives 0.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common._registration import get_converter, get_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import Binarizer, KBinsDiscretizer

from predictions.serving.compile.graph import CannotConvert, Graph

_KINDS = {FloatTensorType: TensorProto.FLOAT, DoubleTensorType: TensorProto.DOUBLE}
_OWN_IMPUTER = "SklearnSimpleImputer"


def register() -> None:
    """Register the converters of this module with skl2onnx."""
    for step, shapes, convert in (
        (Binarizer, _table_of_doubles, _convert_binarizer),
        (KBinsDiscretizer, _shapes_of_bins, _convert_bins),
        (SimpleImputer, _imputer_shapes, _convert_imputer),
    ):
        update_registered_converter(step, f"Exact{step.__name__}", shapes, convert, overwrite=True)


def _columns(operator: Any) -> int:
    return int(operator.raw_operator.n_features_in_)


def _table_of_doubles(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, _columns(operator)])


def _convert_binarizer(scope: Any, operator: Any, container: Any) -> None:
    graph = Graph(scope, container)
    threshold = graph.constant(TensorProto.DOUBLE, [float(operator.raw_operator.threshold)])
    above = graph.add("Greater", [graph.table(operator), threshold])
    graph.add("Cast", [above], operator.outputs[0].full_name, to=TensorProto.DOUBLE)


# --- Bins -------------------------------------------------------------------------------------------------------------
def _shapes_of_bins(operator: Any) -> None:
    step = operator.raw_operator
    if step.encode == "onehot":
        raise CannotConvert("its bins are a sparse table")
    width = _columns(operator) if step.encode == "ordinal" else int(sum(step.n_bins_))
    operator.outputs[0].type = DoubleTensorType([None, width])


def _convert_bins(scope: Any, operator: Any, container: Any) -> None:
    graph, step = Graph(scope, container), operator.raw_operator
    rows = graph.table(operator)
    bins = [_bin(graph, rows, place, edges[1:-1]) for place, edges in enumerate(step.bin_edges_)]
    if step.encode == "onehot-dense":
        bins = [_one_hot(graph, code, count) for code, count in zip(bins, step.n_bins_.tolist(), strict=True)]
    graph.add("Concat", bins, operator.outputs[0].full_name, axis=1)


def _bin(graph: Graph, rows: str, place: int, edges: Any) -> str:
    """The bin of one column: the number of inner edges that are not above the value."""
    column = graph.add("Gather", [rows, graph.constant(TensorProto.INT64, [place], [1])], axis=1)
    inner = graph.constant(TensorProto.DOUBLE, [*edges.tolist(), np.inf], [len(edges) + 1])
    reached = graph.add("Cast", [graph.add("GreaterOrEqual", [column, inner])], to=TensorProto.DOUBLE)
    return graph.add("ReduceSum", [reached, graph.constant(TensorProto.INT64, [1], [1])], keepdims=1)


def _one_hot(graph: Graph, code: str, count: int) -> str:
    codes = graph.constant(TensorProto.DOUBLE, [float(code) for code in range(count)], [count])
    return graph.add("Cast", [graph.add("Equal", [code, codes])], to=TensorProto.DOUBLE)


# --- Missing values ---------------------------------------------------------------------------------------------------
def _imputer_shapes(operator: Any) -> None:
    kind = type(operator.inputs[0].type)
    if kind is StringTensorType:
        get_shape_calculator(_OWN_IMPUTER)(operator)
    else:
        operator.outputs[0].type = kind([None, _columns(operator)])


def _convert_imputer(scope: Any, operator: Any, container: Any) -> None:
    graph, step, kind = Graph(scope, container), operator.raw_operator, type(operator.inputs[0].type)
    if kind is StringTensorType:
        get_converter(_OWN_IMPUTER)(scope, operator, container)
        return
    if not _only_fills(step):
        raise CannotConvert("its imputer does more than to fill empty cells")
    rows = graph.table(operator, _KINDS[kind])
    filling = graph.constant(_KINDS[kind], step.statistics_.tolist(), [1, len(step.statistics_)])
    graph.add("Where", [graph.add("IsNaN", [rows]), filling, rows], operator.outputs[0].full_name)


def _only_fills(step: Any) -> bool:
    """False if another value than NaN counts as missing, if a column is left out, or if columns are added."""
    is_missing_nan = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    return is_missing_nan and not step.add_indicator and not np.isnan(step.statistics_.astype(np.float64)).any()
