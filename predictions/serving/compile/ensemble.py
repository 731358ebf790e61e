"""Fitted trees as the attributes of one TreeEnsemble node of ONNX.

https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from onnx import numpy_helper
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from predictions.serving.compile.graph import CannotConvert

# Boosted estimators that round each value to float32, as decision trees do. Histogram boosting does not.
OF_DECISION_TREES = (GradientBoostingClassifier, GradientBoostingRegressor)
_SUM, _NO_TRANSFORM, _LESS_OR_EQUAL = 1, 0, 0


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


# --- From estimators to trees -----------------------------------------------------------------------------------------
def of_forest(estimator: Any, targets: int) -> tuple[Ensemble, int]:
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


def of_boosted(estimator: Any) -> Ensemble:
    """The sum of the constants with which boosting begins, one for each target, and of all trees in their order."""
    begin, rounds = (_gradient_boosted if isinstance(estimator, OF_DECISION_TREES) else _histogram_boosted)(estimator)
    ensemble = Ensemble(len(begin))
    for target, value in enumerate(begin):
        ensemble.add_constant(value, target)
    for trees in rounds:
        for target, tree in enumerate(trees):
            ensemble.add(tree, target)
    return ensemble


# Both read private attributes. Registration compares the converted answers with the estimator's.
def _gradient_boosted(estimator: Any) -> tuple[list[float], list[list[Tree]]]:
    if not (isinstance(estimator.init_, DummyClassifier | DummyRegressor) or estimator.init == "zero"):
        raise CannotConvert("it begins with the answers of another estimator")
    any_row = np.zeros((1, estimator.n_features_in_), dtype=np.float32)
    rounds = [
        [_scaled(_forest_tree(member.tree_, 0), estimator.learning_rate) for member in members]
        for members in estimator.estimators_
    ]
    return np.ravel(estimator._raw_predict_init(any_row)).tolist(), rounds


def _scaled(tree: Tree, rate: float) -> Tree:
    return replace(tree, value=[rate * value for value in tree.value])


def _histogram_boosted(estimator: Any) -> tuple[list[float], list[list[Tree]]]:
    if estimator.is_categorical_ is not None:
        raise CannotConvert("its trees split on categories")
    rounds = [[_boosted_tree(tree.nodes) for tree in trees] for trees in estimator._predictors]
    return np.ravel(estimator._baseline_prediction).tolist(), rounds


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
