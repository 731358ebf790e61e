"""Gives models from LightGBM's text files and from ONNX files the interface of scikit-learn.

Such an estimator is pickled as the content of its file, and opens that content when it is first used.
"""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, ClusterMixin, OutlierMixin, RegressorMixin


class _LightGBMFile(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """`text` is what `Booster.save_model` writes."""

    def __init__(self, text: str = "") -> None:
        self.text = text

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    @property
    def booster_(self) -> Any:
        if not hasattr(self, "_opened"):
            import lightgbm  # noqa: PLC0415  # only for such files

            self._opened = lightgbm.Booster(model_str=self.text)
        return self._opened

    def read(self) -> Any:
        """Copies the names and the number of columns from the file, and returns the estimator."""
        self.feature_names_ = self.booster_.feature_name()
        self.n_features_in_ = self.booster_.num_feature()
        return self

    def _answers(self, x: Any) -> Any:
        return np.asarray(self.booster_.predict(x, num_threads=1))


class LightGBMRegressor(RegressorMixin, _LightGBMFile):  # type: ignore[misc]
    def predict(self, x: Any) -> Any:
        return self._answers(x)


class LightGBMClassifier(ClassifierMixin, _LightGBMFile):  # type: ignore[misc]
    """Its classes are 0, 1, …: the file does not keep their names."""

    def read(self) -> Any:
        super().read()
        self.classes_ = np.arange(max(2, self.booster_.num_model_per_iteration()))
        return self

    def predict_proba(self, x: Any) -> Any:
        shares = self._answers(x)
        return np.column_stack([1 - shares, shares]) if shares.ndim == 1 else shares

    def predict(self, x: Any) -> Any:
        return self.classes_[self.predict_proba(x).argmax(axis=1)]


class _OnnxFile(BaseEstimator):  # type: ignore[misc]
    """`content` is an ONNX graph that takes one table, or a column for each input."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_opened"}

    @property
    def session(self) -> Any:
        if not hasattr(self, "_opened"):
            from predictions.serving.engines.onnx import open_session  # noqa: PLC0415  # when it is needed

            self._opened = open_session(self.content)
        return self._opened

    def read(self) -> Any:
        """Copies the names and the number of columns from the graph, and returns the estimator."""
        inputs = self.session.get_inputs()
        self.is_table_ = len(inputs) == 1 and inputs[0].shape[-1] != 1
        if self.is_table_:
            self.n_features_in_ = inputs[0].shape[-1]
        else:
            self.feature_names_in_ = np.array([one.name for one in inputs], dtype=object)
            self.n_features_in_ = len(inputs)
        return self

    def _run(self, x: Any, outputs: list[str]) -> list[Any]:
        inputs = self.session.get_inputs()
        if self.is_table_:
            return list(self.session.run(outputs, {inputs[0].name: np.asarray(x).astype(DTYPES[inputs[0].type])}))
        columns = {one.name: _column(x[one.name], one.type) for one in inputs}
        return list(self.session.run(outputs, columns))

    def _labels(self, x: Any) -> Any:
        return np.asarray(self._run(x, [self.session.get_outputs()[0].name])[0]).ravel()


class OnnxRegressor(RegressorMixin, _OnnxFile):  # type: ignore[misc]
    def predict(self, x: Any) -> Any:
        (values,) = self._run(x, [self.session.get_outputs()[0].name])
        return np.asarray(values, dtype=np.float64).reshape(len(x), -1)


class OnnxClassifier(ClassifierMixin, _OnnxFile):  # type: ignore[misc]
    """The first output is the label, the second the probabilities as a tensor or as one dictionary a row."""

    def predict(self, x: Any) -> Any:
        return self._labels(x)

    def predict_proba(self, x: Any) -> Any:
        (shares,) = self._run(x, [self.session.get_outputs()[1].name])
        if isinstance(shares, list):
            return np.array([[row[class_] for class_ in self.classes_.tolist()] for row in shares])
        return np.asarray(shares, dtype=np.float64)


class OnnxClusterer(ClusterMixin, _OnnxFile):  # type: ignore[misc]
    """The first output is the number of the cluster. `n_clusters` is set by the reader."""

    def predict(self, x: Any) -> Any:
        return self._labels(x)


class OnnxOutlierDetector(OutlierMixin, _OnnxFile):  # type: ignore[misc]
    """The first output is 1 for a usual row and -1 for an unusual one."""

    def predict(self, x: Any) -> Any:
        return self._labels(x)


DTYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(string)": object,
    "tensor(bool)": bool,
}


def _column(values: Any, kind: str) -> Any:
    column = pd.Series(values)
    return column.to_numpy(dtype=DTYPES[kind]).reshape(-1, 1)
