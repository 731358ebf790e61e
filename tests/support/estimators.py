"""A tiny estimator that takes every kind of value. It is importable, as whatever is pickled must be."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

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
