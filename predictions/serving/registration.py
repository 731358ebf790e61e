"""The classes that a train.py imports. This module must keep its path: train.py files of users import it."""

from dataclasses import dataclass
from typing import Any


class CannotRegister(ValueError):
    """The estimator, its data and its description do not fit together; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows and their true targets.

    `x` has a column per feature in signature order: a DataFrame, an array or a scipy matrix; or it is one column of
    texts. Outlier detectors and clusterers need no `y`.
    """

    x: Any
    y: Any = None


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The return value of `train()`: an estimator fitted on `training` alone, never on a row of `held_out`."""

    estimator: Any
    training: Split
    held_out: Split
