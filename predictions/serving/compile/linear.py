"""Linear classifiers without probabilities as ONNX in doubles. skl2onnx writes them in float32 or not at all."""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from sklearn.linear_model import RidgeClassifier
from sklearn.svm import LinearSVC

from predictions.serving.compile.graph import Graph, classifier_shapes


def register() -> None:
    """Register the converters of this module with skl2onnx."""
    options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
    for estimator in (LinearSVC, RidgeClassifier):
        alias = f"Exact{estimator.__name__}"
        update_registered_converter(estimator, alias, classifier_shapes, _convert, overwrite=True, options=options)


def _convert(scope: Any, operator: Any, container: Any) -> None:
    graph, estimator = Graph(scope, container), operator.raw_operator
    weights, begin = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
    factors = graph.constant(TensorProto.DOUBLE, weights.T.ravel().tolist(), weights.T.shape)
    total = graph.add("MatMul", [graph.table(operator), factors])
    scores = graph.add("Add", [total, graph.constant(TensorProto.DOUBLE, begin.tolist(), [1, len(begin)])])
    if len(begin) == 1:  # a score above zero means the second class
        scores = graph.add("Concat", [graph.add("Neg", [scores]), scores], axis=1)
    graph.classified(operator, scores)
