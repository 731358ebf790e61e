"""An estimator in memory, asked by scikit-learn itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._forest import ForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from predictions.serving.engines.base import Floats, RawPredictions, expect, positions, to_columns
from predictions.serving.schema.signature import Signature, Value

# Classifiers whose own `predict` is the argmax of their `predict_proba`, or of scores that rise with it, so
# that the two can differ only where two classes tie. Others (SVC, tuned thresholds, …) are asked for both.
_ARGMAX_CLASSIFIERS = (
    CalibratedClassifierCV,
    DecisionTreeClassifier,
    ForestClassifier,
    HistGradientBoostingClassifier,
    LogisticRegression,
)


@dataclass(frozen=True)
class SklearnEngine:
    """An estimator together with all that is decided about asking it, once and not per call."""

    estimator: Any
    signature: Signature
    classes: list[Any]
    input: Literal["array", "frame"] = "array"

    @cached_property
    def one_call(self) -> bool:
        """Whether probabilities answer for the label too; decided once."""
        return predicts_argmax(self.estimator)

    def ask(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        """Raises whatever the estimator raises, and WrongShape rather than mixing rows up."""
        columns = to_columns(rows, self.signature, self.input)
        return self._classify(columns, len(rows)) if self.classes else self._regress(columns, len(rows))

    def _regress(self, columns: Any, count: int) -> RawPredictions:
        values = np.asarray(self.estimator.predict(columns), dtype=np.float64)
        if values.shape == (count, 1):
            values = values[:, 0]
        expect(values.shape, (count,))
        return RawPredictions(values, None)

    def _classify(self, columns: Any, count: int) -> RawPredictions:
        if not hasattr(self.estimator, "predict_proba"):
            return RawPredictions(self._predicted(columns, count), None)
        probabilities = np.asarray(self.estimator.predict_proba(columns), dtype=np.float64)
        expect(probabilities.shape, (count, len(self.classes)))
        if self.one_call and not _tied(probabilities):
            return RawPredictions(probabilities.argmax(axis=1).astype(np.float64), probabilities)
        return RawPredictions(self._predicted(columns, count), probabilities)

    def _predicted(self, columns: Any, count: int) -> Floats:
        labels = np.asarray(self.estimator.predict(columns))
        expect(labels.shape, (count,))
        return positions(labels.tolist(), self.classes)


def predicts_argmax(estimator: Any) -> bool:
    """Whether the label follows from the probabilities, so that one call answers both."""
    final = estimator.steps[-1][1] if type(estimator) is Pipeline else estimator
    return any(
        isinstance(final, known)
        and type(final).predict is known.predict
        and type(final).predict_proba is known.predict_proba
        for known in _ARGMAX_CLASSIFIERS
    )


def use_one_job(estimator: Any) -> None:
    """Sets n_jobs=1 on an estimator and every estimator inside it, fitted ones included."""
    for part in parts(estimator):
        if "n_jobs" in vars(part):
            part.n_jobs = 1


def parts(estimator: Any) -> Iterator[Any]:
    """The estimator and all estimators that it holds: steps, members of ensembles, fitted copies."""
    waiting, seen = [estimator], {id(estimator)}
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, BaseEstimator):
            yield thing
        for inner in _contents(thing):
            if id(inner) not in seen:
                seen.add(id(inner))
                waiting.append(inner)


def _contents(thing: Any) -> Iterator[Any]:
    if isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, list | tuple):
        yield from thing
    elif isinstance(thing, np.ndarray):
        yield from thing.flat if thing.dtype == object else ()
    elif isinstance(thing, BaseEstimator) or type(thing).__module__.startswith("sklearn."):
        yield from getattr(thing, "__dict__", {}).values()


def _tied(probabilities: Floats) -> bool:
    best = probabilities.max(axis=1, keepdims=True)
    return bool(((probabilities == best).sum(axis=1) != 1).any())
