"""Trees as ONNX without rounding.

skl2onnx writes thresholds and leaves as float32: probabilities differ by about 1e-7, and ties may be broken
differently. It cannot convert scikit-learn's histogram boosting. Opset 5 of ai.onnx.ml has trees of doubles. With the
leaves as scikit-learn stores them, summed in the same order, the answers are bitwise equal.
https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType, StringTensorType, guess_proto_type
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

CLASSIFIERS = (DecisionTreeClassifier, ExtraTreeClassifier, ExtraTreesClassifier, RandomForestClassifier)
REGRESSORS = (DecisionTreeRegressor, ExtraTreeRegressor, ExtraTreesRegressor, RandomForestRegressor)
BOOSTED_CLASSIFIERS = (HistGradientBoostingClassifier,)
BOOSTED_REGRESSORS = (HistGradientBoostingRegressor,)

_ML = "ai.onnx.ml"
# skl2onnx accepts operators up to opset 3 only: trees of opset 5 carry the wrong number until `set_opset` is called.
_ML_WRITTEN, _ML_TRUE = 3, 5
_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0
# The losses of boosted regressors whose prediction is the raw sum, or its exponential.
_IDENTITY_LOSSES = {"squared_error", "absolute_error", "quantile"}
_EXP_LOSSES = {"poisson", "gamma"}


class CannotConvert(ValueError):
    """This kind of tree cannot be converted."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A binary tree as arrays: a row goes left where its feature is at most the threshold.

    A leaf is its own left child, and its `value` is added to the sum. The other arrays have no meaning at a leaf, and
    `value` has none at a split.
    """

    left: Sequence[int]
    right: Sequence[int]
    feature: Sequence[int]
    threshold: Sequence[float]
    missing_left: Sequence[int]
    value: Sequence[float]

    def is_leaf(self, node: int) -> bool:
        return self.left[node] == node


@dataclass(slots=True)
class Ensemble:
    """Collects the attributes of one TreeEnsemble node. Trees are summed in the order in which they are added."""

    targets: int
    roots: list[int] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    branches: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    leaves_there: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    leaf_targets: list[int] = field(default_factory=list)
    leaf_weights: list[float] = field(default_factory=list)

    def add_constant(self, value: float, target: int) -> None:
        self.add(Tree([0], [0], [0], [0.0], [0], [value]), target)

    def add(self, tree: Tree, target: int) -> None:
        """Add a tree whose leaves are summed for one target."""
        self.roots.append(len(self.features))
        # The root must be a split: a tree that is a single leaf becomes a split with that leaf on both sides.
        inner = [node for node in range(len(tree.left)) if not tree.is_leaf(node)] or [0]
        places = {node: len(self.features) + place for place, node in enumerate(inner)}
        for node in inner:
            self.features.append(tree.feature[node])
            self.splits.append(tree.threshold[node])
            self.missing.append(tree.missing_left[node])
            for side, child in enumerate((tree.left[node], tree.right[node])):
                is_leaf = tree.is_leaf(child)
                self.leaves_there[side].append(int(is_leaf))
                self.branches[side].append(self._leaf(tree.value[child], target) if is_leaf else places[child])

    def _leaf(self, weight: float, target: int) -> int:
        self.leaf_weights.append(weight)
        self.leaf_targets.append(target)
        return len(self.leaf_weights) - 1

    def attributes(self) -> dict[str, Any]:
        return {
            "n_targets": self.targets,
            "aggregate_function": _SUM,
            "post_transform": _NO_TRANSFORM,
            "tree_roots": self.roots,
            "nodes_featureids": self.features,
            "nodes_splits": numpy_helper.from_array(np.array(self.splits, dtype=np.float64)),
            "nodes_modes": numpy_helper.from_array(np.full(len(self.features), _LESS_OR_EQUAL, dtype=np.uint8)),
            "nodes_missing_value_tracks_true": self.missing,
            "nodes_truenodeids": self.branches[0],
            "nodes_falsenodeids": self.branches[1],
            "nodes_trueleafs": self.leaves_there[0],
            "nodes_falseleafs": self.leaves_there[1],
            "leaf_targetids": self.leaf_targets,
            "leaf_weights": numpy_helper.from_array(np.array(self.leaf_weights, dtype=np.float64)),
        }


def register() -> None:
    """Register the converters of this module with skl2onnx, for these estimators alone and inside pipelines."""
    kinds = (
        (CLASSIFIERS, _classifier_shapes, _convert_forest_classifier),
        (REGRESSORS, _regressor_shapes, _convert_forest_regressor),
        (BOOSTED_CLASSIFIERS, _classifier_shapes, _convert_boosted_classifier),
        (BOOSTED_REGRESSORS, _regressor_shapes, _convert_boosted_regressor),
    )
    for estimators, shapes, convert in kinds:
        options = {"zipmap": [True, False, "columns"], "nocl": [True, False]} if shapes is _classifier_shapes else None
        for estimator in estimators:
            alias = f"Exact{estimator.__name__}"
            update_registered_converter(estimator, alias, shapes, convert, overwrite=True, options=options)


def set_opset(graph: Any) -> Any:
    """Give the converted graph the opset number that its TreeEnsemble nodes need, and return it."""
    if any(node.op_type == "TreeEnsemble" for node in graph.graph.node):
        for opset in graph.opset_import:
            if opset.domain == _ML:
                opset.version = _ML_TRUE
    return graph


# --- From estimators to trees -----------------------------------------------------------------------------------------
def _forest(estimator: Any, targets: int) -> tuple[Ensemble, int]:
    """The sum of a forest's trees, and the number of trees that the mean divides it by."""
    if estimator.n_outputs_ != 1:
        raise CannotConvert("it has several targets")
    trees = [member.tree_ for member in getattr(estimator, "estimators_", [estimator])]
    ensemble = Ensemble(targets)
    for tree in trees:
        for target in range(targets):
            ensemble.add(_forest_tree(tree, target), target)
    return ensemble, len(trees)


def _forest_tree(tree: Any, target: int) -> Tree:
    places = np.arange(tree.node_count)
    is_leaf = tree.children_left == -1
    return Tree(
        left=np.where(is_leaf, places, tree.children_left).tolist(),
        right=np.where(is_leaf, places, tree.children_right).tolist(),
        feature=np.where(is_leaf, 0, tree.feature).tolist(),
        threshold=tree.threshold.tolist(),
        missing_left=tree.missing_go_to_left.tolist(),
        value=tree.value[:, 0, target].tolist(),
    )


def _boosted(estimator: Any) -> Ensemble:
    # The fitted trees are private attributes; registration compares the converted answers with the estimator's.
    if estimator.is_categorical_ is not None:
        raise CannotConvert("its trees split on categories")
    iterations, baseline = estimator._predictors, np.ravel(estimator._baseline_prediction)
    ensemble = Ensemble(len(baseline))
    for target, value in enumerate(baseline.tolist()):
        ensemble.add_constant(value, target)
    for trees in iterations:
        for target, tree in enumerate(trees):
            ensemble.add(_boosted_tree(tree.nodes), target)
    return ensemble


def _boosted_tree(nodes: Any) -> Tree:
    places, is_leaf = np.arange(len(nodes)), nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(is_leaf, places, nodes["left"]).tolist(),
        right=np.where(is_leaf, places, nodes["right"]).tolist(),
        feature=np.where(is_leaf, 0, nodes["feature_idx"]).tolist(),
        threshold=nodes["num_threshold"].tolist(),
        missing_left=nodes["missing_go_to_left"].astype(int).tolist(),
        value=nodes["value"].tolist(),
    )


# --- The graph around the sum -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Graph:
    """Adds nodes to skl2onnx's container, each with one output under a unique name."""

    scope: Any
    container: Any

    def add(self, kind: str, inputs: Iterable[str], output: str | None = None, domain: str = "", **options: Any) -> str:
        name = output or self.scope.get_unique_variable_name(kind.lower())
        # None lets skl2onnx choose the version of its own operators.
        version = _ML_WRITTEN if domain else None
        unique = self.scope.get_unique_operator_name(kind)
        self.container.add_node(
            kind, list(inputs), [name], op_domain=domain, op_version=version, name=unique, **options
        )
        return name

    def constant(self, kind: int, values: Sequence[Any], shape: Sequence[int] = ()) -> str:
        name: str = self.scope.get_unique_variable_name("constant")
        self.container.add_initializer(name, kind, list(shape), list(values))
        return name

    def sum(self, ensemble: Ensemble, rows: str) -> str:
        return self.add("TreeEnsemble", [rows], domain=_ML, **ensemble.attributes())

    def doubles(self, operator: Any, *, as_float32: bool) -> str:
        """The rows as doubles. scikit-learn's decision trees round each value to float32 first."""
        rows: str = operator.inputs[0].full_name
        if as_float32:
            rows = self.add("Cast", [rows], to=TensorProto.FLOAT)
        return self.add("Cast", [rows], to=TensorProto.DOUBLE)

    def classified(self, operator: Any, shares: str) -> None:
        """Add the outputs: the label with the largest share, the first one of a tie, and the shares."""
        classes = operator.raw_operator.classes_
        best = self.add("ArgMax", [shares], axis=1, keepdims=0)
        is_text = classes.dtype.kind not in "iub"
        kind = TensorProto.STRING if is_text else TensorProto.INT64
        known = [str(c).encode() for c in classes] if is_text else [int(c) for c in classes]
        label, probabilities = (output.full_name for output in operator.outputs)
        self.add("Gather", [self.constant(kind, known, [len(known)]), best], label, axis=0)
        self.add("Cast", [shares], probabilities, to=guess_proto_type(operator.outputs[1].type))


def _convert_forest_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph, estimator = _Graph(scope, container), operator.raw_operator
    ensemble, count = _forest(estimator, len(estimator.classes_))
    total = graph.sum(ensemble, graph.doubles(operator, as_float32=True))
    graph.classified(operator, graph.add("Div", [total, graph.constant(TensorProto.DOUBLE, [float(count)])]))


def _convert_forest_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    ensemble, count = _forest(operator.raw_operator, 1)
    total = graph.sum(ensemble, graph.doubles(operator, as_float32=True))
    by = graph.constant(TensorProto.DOUBLE, [float(count)])
    graph.add("Div", [total, by], operator.outputs[0].full_name)


def _convert_boosted_classifier(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    ensemble = _boosted(operator.raw_operator)
    total = graph.sum(ensemble, graph.doubles(operator, as_float32=False))
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
    total = graph.sum(_boosted(operator.raw_operator), graph.doubles(operator, as_float32=False))
    graph.add("Exp" if loss in _EXP_LOSSES else "Identity", [total], operator.outputs[0].full_name)


def _classifier_shapes(operator: Any) -> None:
    classes = operator.raw_operator.classes_
    if classes.dtype.kind not in "iubUO":
        raise CannotConvert("its classes are neither integers nor strings")
    rows = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = (Int64TensorType if classes.dtype.kind in "iub" else StringTensorType)([rows])
    operator.outputs[1].type = DoubleTensorType([rows, len(classes)])


def _regressor_shapes(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([operator.inputs[0].get_first_dimension(), 1])
