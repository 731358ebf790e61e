"""Assesses each row beside its answer: whether it lies outside the training data, and how difficult it is.

This module needs numpy, and ONNX Runtime for the difficulty, but not scikit-learn.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.artifacts.sureness import Calibration, ClassMap
from predictions.serving.engines.base import Floats
from predictions.serving.engines.encoding import Encoding
from predictions.serving.engines.experience import Experience
from predictions.serving.engines.onnx import open_session
from predictions.serving.schema.signature import Value

DIFFICULTY_INPUT = "points"
# Probabilities nearer to 0 or 1 are clipped to this distance, so that their logarithm is finite.
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Assessment:
    """Whether each row is outside, and its difficulty: the expected size of its error, None if not learned."""

    outside: npt.NDArray[np.bool_]
    difficulty: Floats | None


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assesses rows of one version. `difficulty` is an ONNX session; its answers are damped towards `mean`."""

    encoding: Encoding
    experience: Experience
    difficulty: Any = None
    mean: float = 0.0

    def assess(self, rows: Sequence[Sequence[Value]]) -> Assessment:
        points = self.encoding.encode(rows)
        sizes = None if self.difficulty is None else difficulties(self.difficulty, points, self.mean)
        return Assessment(self.experience.is_outside(points), sizes)


def difficulties(session: Any, points: Floats, mean: float) -> Floats:
    (sizes,) = session.run(None, {DIFFICULTY_INPUT: points})
    return damped(sizes.reshape(-1).astype(np.float64, copy=False), mean)


def damped(sizes: Floats, mean: float) -> Floats:
    """Errors that a forest predicts, averaged with the mean error, since a small forest exaggerates differences."""
    return (sizes + mean) / 2


def pack(encoding: Encoding, experience: Experience, difficulty: bytes | None = None, mean: float = 0.0) -> bytes:
    """The content of `sureness.npz`: arrays only, without pickles."""
    arrays = {**encoding.arrays(), **experience.arrays()}
    if difficulty is not None:
        arrays |= {"difficulty": np.frombuffer(difficulty, dtype=np.uint8), "mean": np.array(mean)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def open_assessor(arrays: Mapping[str, Any]) -> Assessor:
    """The assessor whose arrays `pack` wrote."""
    session = open_session(arrays["difficulty"].tobytes()) if "difficulty" in arrays else None
    mean = float(arrays.get("mean", 0.0))
    return Assessor(Encoding.from_arrays(arrays), Experience.from_arrays(arrays), session, mean)


def calibrated(calibration: Calibration | None, probabilities: Floats) -> Floats:
    """Calibrated probabilities, in the order of the classes; each row adds up to 1."""
    if calibration is None:
        return probabilities
    if probabilities.shape[1] == 2:
        second = _mapped(calibration.method, calibration.maps[0], probabilities[:, 1])
        return np.column_stack([1 - second, second])
    columns = [
        _mapped(calibration.method, map_, column)
        for map_, column in zip(calibration.maps, probabilities.T, strict=True)
    ]
    shares: Floats = np.column_stack(columns)
    scaled: Floats = shares / shares.sum(axis=1, keepdims=True)
    return scaled


def log_odds(probabilities: Floats) -> Floats:
    inside = np.clip(probabilities, LEAST, 1 - LEAST)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


# What `log_odds` gives for a probability of 0 and for one of 1.
LOG_ODDS_LIMITS = log_odds(np.array([0.0, 1.0]))


def calibrated_log_odds(map_: ClassMap, odds: Floats) -> Floats:
    """Log-odds after a sigmoid calibration. `odds` lie within `LOG_ODDS_LIMITS`."""
    return np.clip(map_.slope * odds + map_.intercept, -40, 40)


def _mapped(method: str, map_: ClassMap, shares: Floats) -> Floats:
    if method == "isotonic":
        return np.asarray(np.interp(shares, map_.x, map_.y), dtype=np.float64)
    return 1 / (1 + np.exp(-calibrated_log_odds(map_, log_odds(shares))))
