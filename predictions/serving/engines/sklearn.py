"""Predicts with the estimator itself, through scikit-learn's interface."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._forest import ForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier

from predictions.serving.engines.base import Floats, RawPredictions, expect, positions
from predictions.serving.engines.table import build_table, typing_groups
from predictions.serving.schema.input_schema import InputSchema
from predictions.serving.schema.signature import Signature, Value

# Classifiers whose own `predict` is the argmax of their `predict_proba`, or of scores that rise with it, so
# that the two can differ only where two classes tie. For others (SVC, tuned thresholds, …) both are called.
_ARGMAX_CLASSIFIERS = (
    CalibratedClassifierCV,
    DecisionTreeClassifier,
    ForestClassifier,
    HistGradientBoostingClassifier,
    LogisticRegression,
)


@dataclass(frozen=True)
class SklearnEngine:
    """An estimator, the types of its input, and its classes.

    Without `batching` each row is predicted by a call of its own, since its answer depends on the other rows of a call.
    `targets` are the classes of each of several targets, an empty list for a number; empty if there is one target.
    """

    estimator: Any
    signature: Signature
    classes: list[Any]
    schema: InputSchema
    batching: bool = True
    targets: Sequence[Sequence[Any]] = ()

    @cached_property
    def one_call(self) -> bool:
        """Whether the label follows from the probabilities, so that one call gives both."""
        return predicts_argmax(self.estimator)

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        """Raises the estimator's errors, and WrongShape for a wrong number of answers."""
        groups = typing_groups(rows, self.schema) if self.batching else [[place] for place in range(len(rows))]
        if len(groups) == 1:
            return self.predict_table(build_table(rows, self.schema), len(rows))
        parts = [
            self.predict_table(build_table([rows[place] for place in group], self.schema), len(group))
            for group in groups
        ]
        return _in_order(groups, parts, len(rows))

    def predict_table(self, table: Any, count: int) -> RawPredictions:
        """Predictions for a table of `count` rows, in the form that the estimator takes. Raises as `predict` does."""
        if self.targets:
            return self._answer_all_targets(table, count)
        return self._classify(table, count) if self.classes else self._regress(table, count)

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

    def _answer_all_targets(self, columns: Any, count: int) -> RawPredictions:
        answers = self.estimator.predict(columns)
        table = np.asarray(answers.toarray() if hasattr(answers, "toarray") else answers)
        expect(table.shape, (count, len(self.targets)))
        if not any(self.targets):
            return RawPredictions(table.astype(np.float64), None)
        places = [positions(column.tolist(), known) for column, known in zip(table.T, self.targets, strict=True)]
        return RawPredictions(np.column_stack(places), self._shares_of_all_targets(columns, count))

    def _shares_of_all_targets(self, columns: Any, count: int) -> Floats | None:
        """The probabilities. `predict_proba` gives an array per target, or one array of each target's second class."""
        if not hasattr(self.estimator, "predict_proba"):
            return None
        given = self.estimator.predict_proba(columns)
        if not isinstance(given, list):
            second = np.asarray(given.toarray() if hasattr(given, "toarray") else given, dtype=np.float64)
            expect(second.shape, (count, len(self.targets)))
            given = [np.column_stack([1 - share, share]) for share in second.T]
        shares = [np.asarray(share, dtype=np.float64) for share in given]
        for share, known in zip(shares, self.targets, strict=True):
            expect(share.shape, (count, len(known)))
        return np.hstack(shares)

    def _predicted(self, columns: Any, count: int) -> Floats:
        labels = np.asarray(self.estimator.predict(columns))
        if labels.shape == (count, 1):  # trained on a target of one column
            labels = labels[:, 0]
        expect(labels.shape, (count,))
        return positions(labels.tolist(), self.classes)


def _in_order(groups: Sequence[Sequence[int]], parts: Sequence[RawPredictions], count: int) -> RawPredictions:
    outputs = np.empty((count, *parts[0].outputs.shape[1:]))
    first = parts[0].probabilities
    probabilities = None if first is None else np.empty((count, first.shape[1]))
    for group, part in zip(groups, parts, strict=True):
        outputs[list(group)] = part.outputs
        if probabilities is not None:
            probabilities[list(group)] = part.probabilities
    return RawPredictions(outputs, probabilities)


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
        # CatBoost's classes are no BaseEstimator.
        if isinstance(thing, BaseEstimator) or hasattr(type(thing), "get_params"):
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
