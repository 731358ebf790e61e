"""Converts the estimators of the folder ARTEFACTS to ONNX, each as a session of ONNX Runtime with one thread."""

import os
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline


class Session:
    """Predicts with one estimator. Conversion keeps 64 bits for linear models; trees compare 32 bits."""

    def __init__(self, estimator: BaseEstimator) -> None:
        is_linear = isinstance(estimator, Pipeline) and isinstance(estimator[-1], LogisticRegression)
        self._type = np.float64 if is_linear else np.float32
        example = np.zeros((1, estimator.n_features_in_), self._type)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        converted = to_onnx(estimator, example, options={"zipmap": False})
        self._session = onnxruntime.InferenceSession(converted.SerializeToString(), options)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def labels(self, rows: Sequence[Sequence[float]]) -> list[float]:
        return np.ravel(self._run(rows, self._outputs[:1])[0]).tolist()

    def labels_and_probabilities(self, rows: Sequence[Sequence[float]]) -> list[tuple[float, list[float]]]:
        labels, probabilities = self._run(rows, self._outputs)
        return list(zip(labels.tolist(), probabilities.tolist(), strict=True))

    def _run(self, rows: Sequence[Sequence[float]], outputs: list[str]) -> list[np.ndarray]:
        return self._session.run(outputs, {self._input: np.array(rows, self._type)})


def load(names: Sequence[str]) -> dict[str, Session]:
    """The sessions of those of these estimators that exist."""
    paths = [Path(os.environ["ARTEFACTS"]) / f"{name}.joblib" for name in names]
    return {path.stem: Session(joblib.load(path)) for path in paths if path.exists()}
