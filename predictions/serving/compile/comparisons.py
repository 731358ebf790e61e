"""Finds parts of an estimator that compare numbers which ONNX rounds in another way.

A tree compares a value with a threshold, a neighbour search compares distances. Data with few decimals has many values
on a threshold and many equal distances, and there the last bit decides. So all steps before a comparison must give the
same bits as scikit-learn does. No number of compared rows shows that: the values that matter may be in none of them.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster._kmeans import _BaseKMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.ensemble._stacking import _BaseStacking
from sklearn.feature_selection._base import SelectorMixin
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection._search import BaseSearchCV
from sklearn.naive_bayes import BernoulliNB, CategoricalNB
from sklearn.neighbors._base import NeighborsBase
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from predictions.serving.artifacts.manifest import FloatType
from predictions.serving.compile import trees

# Their comparisons cannot be written exactly: which of several equally near neighbours counts depends on the search.
_NEVER = (NeighborsBase, KNNImputer, IsolationForest)
_DISCRETE = (Binarizer, KBinsDiscretizer)
_COMPARING = (
    *trees.CLASSIFIERS,
    *trees.REGRESSORS,
    *trees.BOOSTED_CLASSIFIERS,
    *trees.BOOSTED_REGRESSORS,
    *_DISCRETE,
    BernoulliNB,
    CategoricalNB,
    QuantileTransformer,
    _BaseKMeans,
)
# These give the same bits as scikit-learn in doubles: one operation after another on each value.
_SCALERS = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)
# These choose columns, fill empty cells, or give one of few values, each of which is compared.
_EXACT = (OneHotEncoder, OrdinalEncoder, SelectorMixin, SimpleImputer, TargetEncoder)


class InexactComparisonError(ValueError):
    """A part compares numbers that ONNX may round in another way. The message is the name of the part."""


def check_comparisons(estimator: Any, float_type: FloatType, *, is_short: bool) -> None:
    """Raises InexactComparisonError. With `is_short` the estimator itself takes values of float32."""
    is_double = float_type == "float64"
    _Walk(scales_exactly=is_double).through(estimator, exact=is_double or is_short)


class _Walk:
    def __init__(self, *, scales_exactly: bool) -> None:
        self._scales_exactly = scales_exactly

    def through(self, part: Any, *, exact: bool) -> bool:
        """Whether the output of a part has scikit-learn's bits, if its input has them (`exact`).

        Raises InexactComparisonError at a comparison of other numbers.
        """
        if isinstance(part, Pipeline):
            for _, step in part.steps:
                exact = self.through(step, exact=exact)
            return exact
        if isinstance(part, ColumnTransformer | FeatureUnion):
            branches = [self.through(one, exact=exact) for one in _branches(part)]
            return all(branches)
        if isinstance(part, BaseSearchCV):
            return self.through(part.best_estimator_, exact=exact)
        if isinstance(part, _NEVER) or (isinstance(part, _COMPARING) and not exact):
            raise InexactComparisonError(type(part).__name__)
        if isinstance(part, _COMPARING):
            return isinstance(part, _DISCRETE)
        return exact and self._keeps_bits(part) if _is_step(part) else self._of_members(part, exact=exact)

    def _keeps_bits(self, step: Any) -> bool:
        return self._scales_exactly if isinstance(step, _SCALERS) else True

    def _of_members(self, part: Any, exact: bool) -> bool:
        """Other estimators compute with their input and with the answers of their members, which get the same input."""
        final = part.final_estimator_ if isinstance(part, _BaseStacking) else None
        for member in _members(part):
            self.through(member, exact=exact and member is not final)
        return False


def _is_step(part: Any) -> bool:
    is_identity = isinstance(part, FunctionTransformer) and part.func is None
    return part is None or isinstance(part, str) or is_identity or isinstance(part, (*_SCALERS, *_EXACT))


def _branches(part: Any) -> list[Any]:
    named = part.transformers_ if isinstance(part, ColumnTransformer) else part.transformer_list
    return [branch[1] for branch in named if branch[1] != "drop"]


def _members(part: Any) -> Iterator[Any]:
    """The fitted estimators that an estimator holds, without the estimators in these."""
    waiting = [value for name, value in vars(part).items() if name.endswith("_")] if hasattr(part, "__dict__") else []
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, BaseEstimator):
            yield thing
        elif isinstance(thing, list | tuple):
            waiting.extend(thing)
        elif isinstance(thing, np.ndarray) and thing.dtype == object:
            waiting.extend(thing.flat)
        elif type(thing).__name__ == "_CalibratedClassifier":
            waiting.append(thing.estimator)
