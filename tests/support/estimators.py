"""Tiny estimators and steps. They are importable, as everything that is pickled must be."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LinearRegression, LogisticRegression

POISON = 13.0


class Sizes(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Adds the first two columns. A row whose first value is 13 makes the whole call raise."""

    def fit(self, x: Any, y: Any) -> "Sizes":
        self.n_features_in_ = np.asarray(x, dtype=object).shape[1]
        return self

    def predict(self, x: Any) -> Any:
        size = x[:, 0].astype(np.float64)
        if (size == POISON).any():
            raise ValueError("secret: /home/someone/data.csv")
        return size + x[:, 1].astype(np.float64)


def days_of(frame: Any) -> Any:
    """Dates as days since 2024-01-01. The columns must have a datetime dtype, as in the training data."""
    return frame.apply(lambda column: column.dt.normalize().sub(np.datetime64("2024-01-01")).dt.days.astype(float))


def first_column(frame: Any) -> Any:
    """Works on a DataFrame only."""
    return frame[["a"]]


class Dice(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gives other answers at each call."""

    def fit(self, x: Any, y: Any) -> "Dice":
        self.n_features_in_ = np.asarray(x).shape[1]
        return self

    def predict(self, x: Any) -> Any:
        return np.random.default_rng().normal(size=len(x))


class Widths(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the number of characters of the first column's values: 4 for the float 40.0, 2 for the integer 40."""

    def fit(self, x: Any, y: Any) -> "Widths":
        self.n_features_in_ = x.shape[1]
        return self

    def predict(self, x: Any) -> Any:
        return x["a"].astype(str).str.len().to_numpy(dtype=float)


class Wrapped(BaseEstimator):  # type: ignore[misc]
    """Keeps what it learns in an attribute without the underscore that scikit-learn looks for."""

    def fit(self, x: Any, y: Any) -> "Wrapped":
        self.inner = LinearRegression().fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return self.inner.predict(x)


class WrappedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that does not name its classes."""

    def fit(self, x: Any, y: Any) -> "WrappedClassifier":
        self.inner_ = LogisticRegression().fit(x, y)
        return self

    def predict(self, x: Any) -> Any:
        return self.inner_.predict(x)


class Duck:
    """Knows nothing of scikit-learn. It is a classifier if it has classes."""

    def __init__(self, inner: Any = None) -> None:
        self.inner = inner

    def fit(self, x: Any, y: Any) -> "Duck":
        self.inner.fit(x, y)
        if hasattr(self.inner, "classes_"):
            self.classes_ = self.inner.classes_
        return self

    def predict(self, x: Any) -> Any:
        return self.inner.predict(x)
