"""Predicts with a compiled estimator through ONNX Runtime: no scikit-learn, and nothing is unpickled."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime

from predictions.serving.artifacts.manifest import FloatType, Layout
from predictions.serving.engines.base import Engine, Floats, RawPredictions, expect, is_numeric
from predictions.serving.schema.signature import Signature, Value

TABLE = "rows"

# scikit-learn's trees raise an error for values beyond float32; ONNX would answer. The estimator predicts such calls.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class OnnxEngine:
    """Runs the ONNX session, and the estimator itself for the few rows whose answer a rounding could change.

    The estimator predicts a row if its two likeliest classes are no further apart than `tie_margin`.
    """

    session: Any
    signature: Signature
    classes: list[Any]
    layout: Layout
    float_type: FloatType
    has_probabilities: bool
    tie_margin: float
    estimator: Callable[[], Engine]

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        """Raises the errors of ONNX Runtime and the estimator, and WrongShape for a wrong number of answers."""
        inputs = self._table(rows) if self.layout == "table" else self._columns(rows)
        if inputs is None:
            return self.estimator().predict(rows)
        given = self.session.run(self._outputs, inputs)
        answers = self._classified(rows, *given) if self.classes else _regressed(given[0], len(rows))
        # In float32 an intermediate result may overflow, such as the square of a value.
        if self.float_type == "float32" and not answers.are_finite:
            return self.estimator().predict(rows)
        return answers

    def _table(self, rows: Sequence[Sequence[Value]]) -> dict[str, Any] | None:
        # numpy reads None as NaN here.
        table = np.array(rows, dtype=np.float64)
        return {TABLE: table.astype(self.float_type, copy=False)} if _fits(table) else None

    def _columns(self, rows: Sequence[Sequence[Value]]) -> dict[str, Any] | None:
        inputs = {}
        for feature, values in zip(self.signature.features, zip(*rows, strict=True), strict=True):
            if is_numeric(feature):
                column = np.array(values, dtype=np.float64)
                if not _fits(column):
                    return None
                column = column.astype(self.float_type, copy=False)
            else:
                column = np.array(values, dtype=object)
            inputs[feature.name] = column.reshape(-1, 1)
        return inputs

    def _classified(self, rows: Sequence[Sequence[Value]], labels: Any, shares: Any = None) -> RawPredictions:
        labels = labels.reshape(-1)
        expect(labels.shape, (len(rows),))
        outputs = np.array([self._places.get(label, -1) for label in labels.tolist()], dtype=np.float64)
        if shares is None:
            return RawPredictions(outputs, None)
        expect(shares.shape, (len(rows), len(self.classes)))
        answers = RawPredictions(outputs, shares.astype(np.float64, copy=False))
        return self._resolved(rows, answers, answers.probabilities) if self.tie_margin else answers

    def _resolved(self, rows: Sequence[Sequence[Value]], answers: RawPredictions, shares: Any) -> RawPredictions:
        """The answers, with the estimator's own where the two likeliest classes are too close to call."""
        ranked = np.partition(shares, -2, axis=1)
        close = (ranked[:, -1] - ranked[:, -2] <= self.tie_margin).nonzero()[0].tolist()
        if close:
            own = self.estimator().predict([rows[place] for place in close])
            answers.outputs[close] = own.outputs
            shares[close] = own.probabilities
        return answers

    @cached_property
    def _places(self) -> dict[Any, int]:
        return {class_: place for place, class_ in enumerate(self.classes)}

    @cached_property
    def _outputs(self) -> list[str]:
        # If a classifier has no probabilities, the second output is its scores.
        wanted = 1 + (bool(self.classes) and self.has_probabilities)
        return [output.name for output in self.session.get_outputs()[:wanted]]


def open_session(content: bytes) -> Any:
    """A session with one thread. It starts no threads of its own, so it still works after a fork."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # no errors: they are raised too. Each unused constant would log a warning.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _fits(numbers: Floats) -> bool:
    return not (np.abs(numbers) > LARGEST).any()


def _regressed(values: Any, count: int) -> RawPredictions:
    if values.shape == (count, 1):
        values = values[:, 0]
    expect(values.shape, (count,))
    return RawPredictions(values.astype(np.float64, copy=False), None)
