"""Names for the classes of an estimator that was fitted on codes, such as 0, 1, …, where the data has texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from predictions.serving.artifacts.description import Description
from predictions.serving.engines.base import positions
from predictions.serving.registration import CannotRegister

Labels = tuple[tuple[Any, str], ...]

# The estimator answers this many rows of the data, evenly spread.
ROWS = 20_000
# The names follow the answers if their recalls are together this many standard errors better.
CLEAR = 3.0


@dataclass(frozen=True, slots=True)
class Naming:
    """`labels` is empty if the classes need no names. A LabelEncoder gives other names if `is_by_answers`."""

    labels: Labels
    is_by_answers: bool = False


@dataclass(frozen=True)
class Answers:
    """An estimator's answers to rows of the data. It is asked once, when they are first needed.

    Args:
        x: the rows of the data as the estimator takes them.
    """

    estimator: Any
    x: Any

    @cached_property
    def rows(self) -> Any:
        """The positions of the rows, evenly spread."""
        return np.unique(np.linspace(0, len(self.x) - 1, ROWS).astype(int))

    @cached_property
    def classes(self) -> Any:
        """The classes, of shape [rows, targets]. None if the estimator fails: the proof of the version says why."""
        try:
            given = self.estimator.predict(self.x.iloc[self.rows] if hasattr(self.x, "iloc") else self.x[self.rows])
        except Exception:  # noqa: BLE001 - an estimator may raise anything
            return None
        return np.asarray(given).reshape(len(self.rows), -1)


def naming(answers: Answers, place: int, column: pd.Series, classes: Sequence[Any] | None) -> Naming:
    """The names of the classes of one target.

    A LabelEncoder sorts the texts. But people also map them by hand, in an order of their own: if the answers of the
    estimator to the rows of the data clearly fit another order, that order is taken.

    Args:
        place: of the target among all targets.
        column: the target in the data.
        classes: of the estimator, for this target.
    """
    names = encoded_names(column, classes)
    if classes is None or not names:
        return Naming(())
    better = names_by_answers(classes, names, answers, place, column)
    return Naming(tuple(zip(classes, better or names, strict=True)), better is not None)


def encoded_names(column: pd.Series, classes: Sequence[Any] | None) -> list[str]:
    """The sorted texts of a column, if there is one for each class and the classes are numbers; otherwise empty."""
    known = column.dropna()
    names = sorted({value for value in known if isinstance(value, str)})
    if classes is None or len(names) != len(classes) or any(isinstance(class_, str) for class_ in classes):
        return []
    if not known.map(lambda value: isinstance(value, str)).all() or {str(c) for c in classes} == set(names):
        return []
    return names


def names_by_answers(
    classes: Sequence[Any], names: Sequence[str], answers: Answers, place: int, column: pd.Series
) -> list[str] | None:
    """The names of the classes in the order that fits the answers clearly better; None if there is none.

    The recalls of all classes are compared, so that a frequent class does not decide alone.

    Args:
        classes: numbers.
        names: of the classes, in the order that is doubted.
    """
    if answers.classes is None:
        return None
    given = positions(answers.classes[:, place].tolist(), classes).astype(int)
    if (given < 0).any():
        return None
    truth = pd.Categorical(column.iloc[answers.rows], categories=list(names)).codes
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (given[truth >= 0], truth[truth >= 0]), 1)
    of_class = np.maximum(counts.sum(axis=0), 1)
    recalls = counts / of_class
    _, order = linear_sum_assignment(-recalls)
    gain = recalls[range(len(names)), order].sum() - np.trace(recalls)
    # A recall is a share, whose variance is a quarter of 1/n at most. Two of them are compared for each class.
    error = np.sqrt(2 * (0.25 / of_class).sum())
    return [names[at] for at in order] if gain > CLEAR * error else None


def check_names(toml: Path, description: Description, answers: Answers, columns: Sequence[pd.Series]) -> None:
    """Raises CannotRegister if the answers of a new version contradict the names in model.toml.

    Args:
        columns: the targets in the data.
    """
    targets = description.targets or [description.target]
    for place, (target, column) in enumerate(zip(targets, columns, strict=False)):
        classes, names = [class_ for class_, _ in target.labels], [name for _, name in target.labels]
        if set(names) != set(column) or any(isinstance(class_, str) for class_ in classes):
            continue
        if better := names_by_answers(classes, names, answers, place, column):
            said, found = (_said(classes, some) for some in (names, better))
            raise CannotRegister(
                f"{toml} names the classes of {target.name!r}: {said}. The answers of this estimator to the data fit "
                f"another order: {found}. Fit it on the codes of the earlier versions, or register it as a model of "
                f"its own."
            )


def _said(classes: Sequence[Any], names: Sequence[str]) -> str:
    return ", ".join(f"{class_} = {name}" for class_, name in zip(classes, names, strict=True))
