"""Trees as ONNX without rounding.

skl2onnx writes thresholds and leaves as float32: probabilities differ by about 1e-7, and ties may be broken
differently. It cannot convert scikit-learn's histogram boosting. Opset 5 of ai.onnx.ml has trees of doubles. With the
leaves as scikit-learn stores them, summed in the same order, the answers are bitwise equal.
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from typing import Any

from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from predictions.serving.compile.ensemble import OF_DECISION_TREES, Ensemble, of_boosted, of_forest
from predictions.serving.compile.graph import ML, CannotConvert, Graph, classifier_shapes

CLASSIFIERS = (DecisionTreeClassifier, ExtraTreeClassifier, ExtraTreesClassifier, RandomForestClassifier)
REGRESSORS = (DecisionTreeRegressor, ExtraTreeRegressor, ExtraTreesRegressor, RandomForestRegressor)
BOOSTED_CLASSIFIERS = (GradientBoostingClassifier, HistGradientBoostingClassifier)
BOOSTED_REGRESSORS = (GradientBoostingRegressor, HistGradientBoostingRegressor)

# skl2onnx accepts operators up to opset 3 only: trees of opset 5 carry the wrong number until `set_opset` is called.
_ML_TRUE = 5
# The losses of boosted regressors whose prediction is the raw sum, or its exponential.
_IDENTITY_LOSSES = {"squared_error", "absolute_error", "quantile", "huber"}
_EXP_LOSSES = {"poisson", "gamma"}


def register() -> None:
    """Register the converters of this module with skl2onnx, for these estimators alone and inside pipelines."""
    kinds = (
        (CLASSIFIERS, classifier_shapes, _convert_forest_classifier),
        (REGRESSORS, _regressor_shapes, _convert_forest_regressor),
        (BOOSTED_CLASSIFIERS, classifier_shapes, _convert_boosted_classifier),
        (BOOSTED_REGRESSORS, _regressor_shapes, _convert_boosted_regressor),
    )
    for estimators, shapes, convert in kinds:
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False]} if shapes is classifier_shapes else None
        for estimator in estimators:
            alias = f"Exact{estimator.__name__}"
            update_registered_converter(estimator, alias, shapes, convert, overwrite=True, options=options)


def set_opset(graph: Any) -> Any:
    """Give the converted graph the opset number that its TreeEnsemble nodes need, and return it."""
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        for opset in graph.opset_import:
            if opset.domain == ML:
                opset.version = _ML_TRUE
    return graph


# --- The graph around the sum -----------------------------------------------------------------------------------------
class _Graph(Graph):
    """A graph with sums of trees."""

    __slots__ = ()

    def sum(self, ensemble: Ensemble, rows: str) -> str:
        return self.add("TreeEnsemble", [rows], domain=ML, **ensemble.attributes())

    def doubles(self, operator: Any, *, as_float32: bool) -> str:
        """The rows as doubles. scikit-learn's decision trees round each value to float32 first."""
        if not as_float32:
            return self.table(operator)
        return self.add("Cast", [self.table(operator, TensorProto.FLOAT)], to=TensorProto.DOUBLE)

    def boosted(self, operator: Any) -> tuple[Ensemble, str]:
        """The trees of a boosted estimator, and their sum."""
        ensemble = of_boosted(operator.raw_operator)
        is_rounded = isinstance(operator.raw_operator, OF_DECISION_TREES)
        return ensemble, self.sum(ensemble, self.doubles(operator, as_float32=is_rounded))


def _convert_forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, estimator = _Graph(scope, container), operator.raw_operator
    ensemble, count = of_forest(estimator, len(estimator.classes_))
    total = graph.sum(ensemble, graph.doubles(operator, as_float32=True))
    graph.classified(operator, graph.add("Div", [total, graph.constant(TensorProto.DOUBLE, [float(count)])]))


def _convert_forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    ensemble, count = of_forest(operator.raw_operator, 1)
    total = graph.sum(ensemble, graph.doubles(operator, as_float32=True))
    by = graph.constant(TensorProto.DOUBLE, [float(count)])
    graph.add("Div", [total, by], operator.outputs[0].full_name)


def _convert_boosted_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    ensemble, total = graph.boosted(operator)
    if operator.raw_operator.loss == "exponential":  # half the log of the odds
        total = graph.add("Mul", [total, graph.constant(TensorProto.DOUBLE, [2.0])])
    if ensemble.targets > 1:
        graph.classified(operator, graph.add("Softmax", [total], axis=1))
        return
    second = graph.add("Sigmoid", [total])
    first = graph.add("Sub", [graph.constant(TensorProto.DOUBLE, [1.0]), second])
    graph.classified(operator, graph.add("Concat", [first, second], axis=1))


def _convert_boosted_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph, loss = _Graph(scope, container), operator.raw_operator.loss
    if loss not in _IDENTITY_LOSSES | _EXP_LOSSES:
        raise CannotConvert(f"its loss is {loss}")
    _, total = graph.boosted(operator)
    graph.add("Exp" if loss in _EXP_LOSSES else "Identity", [total], operator.outputs[0].full_name)


def _regressor_shapes(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([operator.inputs[0].get_first_dimension(), 1])
