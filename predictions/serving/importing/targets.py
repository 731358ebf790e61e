"""The target column of the data, as the estimator names its classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.importing.data_file import place
from predictions.serving.registration import CannotRegister
from predictions.serving.training.input_types import is_missing
from predictions.serving.training.targets import task_of


def target_classes(estimator: Any, count: int) -> list[list[Any] | None]:
    """The classes of each of `count` targets; None for numbers. Raises CannotRegister for another number of targets."""
    if task_of(estimator) == "regression":
        return [None] * count
    found = getattr(estimator, "classes_", None)
    if isinstance(found, list):
        if len(found) != count:
            raise CannotRegister(f"The estimator predicts {len(found)} targets, and --target names {count}.")
        return [np.asarray(classes).tolist() for classes in found]
    if found is None:
        return [None] * count
    return [np.asarray(found).tolist()] if count == 1 else [[0, 1] for _ in range(count)]


def target_values(
    path: Path, column: pd.Series, classes: Sequence[Any] | None, labels: Sequence[tuple[Any, str]]
) -> Any:
    """The true answers as the estimator knows them. Raises CannotRegister, naming the line."""
    missing = np.flatnonzero([is_missing(value) for value in column.astype(object)])
    if len(missing):
        raise CannotRegister(
            f"{place(path, int(missing[0]))}: {column.name!r} is empty ({len(missing)} such rows): fill it, or remove "
            f"the rows."
        )
    values = column.to_numpy(dtype=object)
    back = {label: class_ for class_, label in labels}
    if classes is None or all(value in classes for value in values):
        return column.to_numpy()
    if back and all(value in back for value in values):
        return np.array([back[value] for value in values])
    as_text = {str(class_): class_ for class_ in classes}
    if all(str(value) in as_text for value in values):
        return np.array([as_text[str(value)] for value in values], dtype=object)
    stranger = next(row for row, value in enumerate(values) if value not in classes)
    raise CannotRegister(
        f"{place(path, stranger)}: {column.name!r} is {values[stranger]!r}, a class that the estimator does not know; "
        f"it knows {_few(classes)}."
    )


def _few(values: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in values[:8]) + (", …" if len(values) > 8 else "")
