"""Tiny estimators that misbehave in one way each. They are importable, as everything that is pickled must be."""

import threading
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression

HEAVY_BYTES = 48 * 1024 * 1024

opened: list[str] = []
opening = threading.Event()
go_on = threading.Event()
go_on.set()


class Sum(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the sum of a row. A first value of 13, 14, 15 or 16 makes the call misbehave."""

    def fit(self, x: Any, y: Any) -> "Sum":
        self.n_features_in_ = np.asarray(x).shape[1]
        return self

    def predict(self, x: Any) -> Any:
        if (x[:, 0] == 13).any():
            raise ValueError("secret: /home/someone/data.csv")
        if (x[:, 0] == 14).any():
            raise MemoryError
        if (x[:, 0] == 15).any():
            return np.zeros(len(x) + 1)
        if (x[:, 0] == 16).any():
            return np.full(len(x), np.inf)
        return np.nansum(x, axis=1)


class Heavy(LogisticRegression):  # type: ignore[misc]
    """Holds 48 MB in addition to what it has learned."""

    def fit(self, x: Any, y: Any) -> "Heavy":
        self.ballast_ = np.random.default_rng(0).integers(0, 255, HEAVY_BYTES, dtype=np.uint8)
        super().fit(x, y)
        return self


class Cautious(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts "b" only if its probability is above 0.9, although "b" is the likelier class from 0.5."""

    def fit(self, x: Any, y: Any) -> "Cautious":
        self.classes_ = np.array(["a", "b"])
        return self

    def predict_proba(self, x: Any) -> Any:
        share = np.clip(np.asarray(x)[:, 0] / 100, 0, 1)
        return np.column_stack([1 - share, share])

    def predict(self, x: Any) -> Any:
        return self.classes_[(self.predict_proba(x)[:, 1] > 0.9).astype(int)]


class Stranger(Cautious):
    """Predicts a class that is not among `classes_`."""

    def predict(self, x: Any) -> Any:
        return np.where(np.asarray(x)[:, 0] > 50, "c", "a")


class SlowClassifier(Cautious):
    """Sets the event `opening` while it is unpickled, and waits for `go_on`."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        opened.append("slow")
        opening.set()
        go_on.wait(60)
        super().__setstate__(state)


class Explosive(Cautious):
    def __setstate__(self, state: dict[str, Any]) -> None:
        raise RuntimeError("opened")
