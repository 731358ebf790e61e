"""Reads the true targets of the training and held-out data, and the classes that a version can answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.mixture._base import BaseMixture
from sklearn.pipeline import Pipeline

from predictions.serving.artifacts.description import Description, Target, Task
from predictions.serving.engines.base import Floats
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.registration import CannotRegister, Split
from predictions.serving.schema.wording import is_storable

# scikit-learn's outlier detectors answer 1 and -1.
OUTLIER_CLASSES = [1, -1]
OUTLIER_LABELS = {1: "usual", -1: "unusual"}
SEVERAL = (
    "The estimator predicts several targets: name each of them, in the estimator's order (--target a,b, or [[targets]] "
    "in model.toml)."
)
SEVERAL_NUMBERS = (
    "If it predicts several targets, name each of them, in the estimator's order (--target a,b, or [[targets]] in "
    "model.toml). Several numbers for one target, such as quantiles, cannot be served: fit an estimator that gives one."
)
NO_TARGETS = "The {} data has no targets: give Split(x, y)."


def check_task(description: Description, estimator: Any) -> None:
    """Raises CannotRegister if the estimator is not made for the task; the message says what to write."""
    name = type(final_step(estimator)).__name__
    if not hasattr(estimator, "predict"):
        raise CannotRegister(f"{name} has no predict(): it cannot answer rows that it was not fitted on.")
    task = _task_of(estimator)
    if task is not None and task != description.task:
        raise CannotRegister(
            f'model.toml says task = "{description.task}", and {name} is made for {task}: write task = "{task}".'
        )
    if task is None and description.task != task_of(estimator):
        raise CannotRegister(f"model.toml says {description.task}, and {name} is not made for it.")
    if not description.targets and isinstance(getattr(estimator, "classes_", None), list):
        raise CannotRegister(SEVERAL)


def classes_of_targets(description: Description, estimator: Any) -> list[list[Any]]:
    """The classes of each of several targets, an empty list for a number; empty if there is only one target.

    Raises CannotRegister.
    """
    count = len(description.targets)
    if description.task != "classification" or not count:
        return [[] for _ in range(count)]
    # A multilabel classifier has no list of classes for each label: a label is 0 or 1.
    known = getattr(estimator, "classes_", None)
    found = [np.asarray(each).tolist() for each in known] if isinstance(known, list) else [[0, 1]] * count
    if len(found) != count:
        raise CannotRegister(f"The estimator predicts {len(found)} targets, and {count} are named.")
    return found


def classes_of(description: Description, estimator: Any, answered: Sequence[Any]) -> list[Any]:
    """The classes in the estimator's order. `answered` are its answers to the data, which show the clusters."""
    if description.task == "regression" or description.targets:
        return []
    if description.task == "outliers":
        return OUTLIER_CLASSES
    if description.task == "classification":
        if not hasattr(estimator, "classes_"):
            name = type(final_step(estimator)).__name__
            raise CannotRegister(f"{name} is a classifier without classes_: let fit() set it to the classes, in order.")
        found: list[Any] = np.asarray(estimator.classes_).tolist()
        return found
    return sorted({*_clusters(final_step(estimator)), *(int(answer) for answer in answered)})


def _clusters(final: Any) -> set[int]:
    """The clusters that an estimator can answer, as far as it says: Birch answers with the labels of its subclusters,
    and its `n_clusters` may be another estimator."""
    if hasattr(final, "subcluster_labels_"):
        return {int(label) for label in final.subcluster_labels_}
    return set(range(getattr(final, "n_clusters", getattr(final, "n_components", 0)) or 0))


def labels_of(task: Task, target: Target, classes: Sequence[Any]) -> list[str]:
    """The display label of each class. Raises CannotRegister for unknown classes, equal or unstorable labels."""
    labels = [_label(task, target, class_) for class_ in classes]
    strangers = [class_ for class_, _ in target.labels if class_ not in classes]
    if classes and strangers:
        raise CannotRegister(f"target.labels names {strangers}, but the estimator knows only {list(classes)}.")
    if unstorable := [label for label in labels if not is_storable(label)]:
        raise CannotRegister(f"The class {unstorable[0]!r} has a character that cannot be stored: rename the class.")
    if len(set(labels)) < len(labels):
        raise CannotRegister(f"target.labels gives one label to several classes: {labels}.")
    return labels


def true_answers(
    which: str, split: Split, count: int, description: Description, engine: SklearnEngine
) -> Floats | None:
    """Numbers or class positions, a column for each target if there are several; None for outliers and clusters.

    Raises CannotRegister.
    """
    if engine.targets:
        truth: Floats | None = truths_of(which, split, count, engine.targets)
    else:
        truth = truth_of(which, split, count, description.task, engine.classes)
    if truth is not None and description.task == "regression":
        targets = description.targets or [description.target]
        for target, column in zip(targets, truth.reshape(count, -1).T, strict=True):
            _check_bounds(which, target, column)
    return truth


def truth_of(which: str, split: Split, count: int, task: Task, classes: Sequence[Any]) -> Floats | None:
    """Numbers or class positions; None for outliers and clusters, which have no true answer. Raises CannotRegister."""
    if task in ("outliers", "clusters"):
        return None
    return _truth(which, _column(which, split.y), count, classes)


def truths_of(which: str, split: Split, count: int, targets: Sequence[Sequence[Any]]) -> Floats:
    """A column of numbers, or of positions in the classes, for each target. Raises CannotRegister."""
    if split.y is None:
        raise CannotRegister(NO_TARGETS.format(which))
    table = np.asarray(split.y.toarray() if hasattr(split.y, "toarray") else split.y, dtype=object)
    if table.ndim != 2 or table.shape[1] != len(targets):
        raise CannotRegister(f"The {which} data has targets of shape {table.shape}, and {len(targets)} are named.")
    columns = zip(table.T, targets, strict=True)
    return np.column_stack([_truth(which, column.tolist(), count, classes) for column, classes in columns])


def _check_bounds(which: str, target: Target, truth: Floats) -> None:
    """Raises CannotRegister for a number beyond the bounds of the target, which intervals are clipped to."""
    low = -np.inf if target.minimum is None else target.minimum
    high = np.inf if target.maximum is None else target.maximum
    beyond = np.flatnonzero((truth < low) | (truth > high))
    if len(beyond):
        row, value = int(beyond[0]), float(truth[beyond[0]])
        bound = f"minimum is {low:g}" if value < low else f"maximum is {high:g}"
        raise CannotRegister(
            f"Row {row + 1} of the {which} data: {target.name} is {value:g}, and its {bound} in model.toml "
            f"({len(beyond)} of its rows): correct the row, or the bound."
        )


def _truth(which: str, values: Sequence[Any], count: int, classes: Sequence[Any]) -> Floats:
    if not count or len(values) != count:
        raise CannotRegister(f"The {which} data has {count} rows and {len(values)} targets.")
    if classes:
        return np.array([_position(value, classes, which) for value in values], dtype=np.float64)
    return np.array([_number(value, row, which) for row, value in enumerate(values, start=1)], dtype=np.float64)


def task_of(estimator: Any) -> Task:
    """The task of an estimator. If scikit-learn cannot tell: classification if it has classes, else regression."""
    return _task_of(estimator) or ("classification" if hasattr(estimator, "classes_") else "regression")


def _task_of(estimator: Any) -> Task | None:
    try:
        return _task_by_scikit_learn(estimator)
    except AttributeError:  # a class without scikit-learn's BaseEstimator has no tags
        return None


def _task_by_scikit_learn(estimator: Any) -> Task | None:
    if is_classifier(estimator):
        return "classification"
    if is_outlier_detector(estimator):
        return "outliers"
    if is_clusterer(estimator) or isinstance(final_step(estimator), BaseMixture):
        return "clusters"
    return "regression" if is_regressor(estimator) else None


def final_step(estimator: Any) -> Any:
    """The last step of a Pipeline; otherwise the estimator itself."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def _label(task: Task, target: Target, class_: Any) -> str:
    named = dict(target.labels)
    if class_ in named:
        return named[class_]
    if task == "outliers":
        return OUTLIER_LABELS[class_]
    return f"cluster {class_}" if task == "clusters" else target.label(class_)


def _column(which: str, y: Any) -> list[Any]:
    if y is None:
        raise CannotRegister(NO_TARGETS.format(which))
    table = np.asarray(y, dtype=object) if hasattr(y, "iloc") else np.asarray(y)
    if table.ndim == 2 and table.shape[1] == 1:
        table = table[:, 0]
    if table.ndim != 1:
        raise CannotRegister(f"The {which} data has targets of shape {table.shape}. {SEVERAL}")
    found: list[Any] = table.tolist()
    return found


def _position(class_: Any, classes: Sequence[Any], which: str) -> int:
    if class_ not in classes:
        raise CannotRegister(f"The {which} data has class {class_!r}, which the estimator does not know.")
    return list(classes).index(class_)


def _number(value: Any, row: int, which: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise CannotRegister(f"The target of row {row} of the {which} data is {value!r}: it must be a finite number.")
    return number
