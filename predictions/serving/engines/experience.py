"""Whether a row lies outside the training data: further from it than 99 of 100 held-out rows, or beyond its ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.engines.base import Floats

NEIGHBOURS = 5
# Distances are computed in float32 and in batches of any size. A row that lies exactly on the threshold, as one of the
# held-out rows does, must count as inside however the distance is rounded.
SLACK = 1e-3
# Values are clipped to this many interquartile ranges, so that their squares stay within float32.
FARTHEST = 1e4


@dataclass(frozen=True)
class Experience:
    """Training rows as points, and the limits that were learned from held-out rows (see `Gate`).

    `low` and `high` are the training range of each column of a point, infinite where a column has no range.
    """

    points: npt.NDArray[np.float32]
    low: Floats
    high: Floats
    distance: float
    beyond: int

    def is_outside(self, points: Floats) -> npt.NDArray[np.bool_]:
        """One answer for each point, independent of the others."""
        return np.asarray(self._is_far(points) | (beyond_range(points, self.low, self.high) > self.beyond))

    def _is_far(self, points: Floats) -> npt.NDArray[np.bool_]:
        """Whether fewer than five training rows are near.

        |a - b|² <= d² is |b|² - 2ab <= d² - |a|², so one matrix product and one comparison decide.
        """
        near = np.empty((len(points), points.shape[1] + 1), dtype=np.float32)
        near[:, :-1], near[:, -1] = points.clip(-FARTHEST, FARTHEST), 1
        squares = np.einsum("ij,ij->i", near[:, :-1], near[:, :-1])
        limit = np.float32((self.distance * (1 + SLACK)) ** 2 + SLACK) - squares
        hits = (near @ self._product <= limit[:, None]).sum(axis=1)
        return np.asarray(hits < min(NEIGHBOURS, len(self.points)))

    @cached_property
    def _product(self) -> npt.NDArray[np.float32]:
        squares = np.einsum("ij,ij->i", self.points, self.points)
        return np.ascontiguousarray(np.column_stack([-2 * self.points, squares]).T)

    def arrays(self) -> dict[str, Any]:
        limits = np.array([self.distance, self.beyond], dtype=np.float64)
        return {"points": self.points, "low": self.low, "high": self.high, "limits": limits}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Experience":
        distance, beyond = arrays["limits"].tolist()
        return cls(arrays["points"], arrays["low"], arrays["high"], distance, int(beyond))


def beyond_range(points: Floats, low: Floats, high: Floats) -> npt.NDArray[np.intp]:
    """How many values of each point lie beyond the range."""
    return np.asarray(((points < low) | (points > high)).sum(axis=1))
