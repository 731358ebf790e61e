"""Learns the gate: the limits, taken from held-out rows, beyond which a row counts as outside the training data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from predictions.serving.engines.base import Floats
from predictions.serving.engines.encoding import Encoding
from predictions.serving.engines.experience import FARTHEST, NEIGHBOURS, Experience, beyond_range
from predictions.serving.schema.signature import Boolean, Choice, Date, Integer, Number, Signature, Text, Value
from predictions.serving.training.calibrate import Mask
from predictions.serving.training.conformal import conformal_quantile

KEPT_ROWS = 2000
# The most common values of a choice get a column each. All others share one, so a mismatch among them is not seen.
KNOWN_VALUES = 64
INSIDE = 0.99
# This many rows have a 99th percentile. With fewer rows the limit is their largest distance times FEW_ROWS_MARGIN.
ENOUGH = 99
FEW_ROWS_MARGIN = 1.5
# The least distance limit, in interquartile ranges. Without it, data of repeated rows would give a limit of 0.
NEAR = 0.5
_BLOCK = 500


def fit_encoding(rows: Sequence[Sequence[Value]], signature: Signature) -> Encoding:
    """The encoding learned from training rows."""
    places = range(len(signature.features))
    choices = [place for place in places if isinstance(signature.features[place], Choice)]
    dates = [place for place in places if isinstance(signature.features[place], Date)]
    texts = [place for place in places if isinstance(signature.features[place], Text)]
    numbers = [place for place in places if isinstance(signature.features[place], Number | Integer | Boolean)]
    measures = [signature.features[place] for place in (*numbers, *dates, *texts)]
    encoding = Encoding(
        numbers=numbers,
        dates=dates,
        texts=texts,
        choices=choices,
        optional=[column for column, feature in enumerate(measures) if not feature.required],
        categories=[_commonest([row[place] for row in rows]) for place in choices],
        center=np.zeros(0),
        scale=np.ones(0),
    )
    columns = zip(encoding.measure(rows).T, measures, strict=True)
    limits = [_center_and_scale(column, isinstance(feature, Boolean)) for column, feature in columns]
    center, scale = np.array(limits, dtype=np.float64).reshape(-1, 2).T
    return replace(encoding, center=center.copy(), scale=scale.copy())


class Fitting:
    """Distances and counts of the held-out rows. If these are few, training rows are added, each against the others."""

    def __init__(self, encoding: Encoding, training: Floats, held_out: Floats) -> None:
        chosen = np.random.default_rng(0).permutation(len(training))[:KEPT_ROWS]
        self._kept = training[np.sort(chosen)]
        self._low, self._high = _ranges(encoding, training)
        self.distances = _distances(held_out, self._kept)
        self.counts = beyond_range(held_out, self._low, self._high).astype(np.float64)
        few = len(held_out) < ENOUGH
        self._more_distances = _distances(self._kept, self._kept, itself=True) if few else np.zeros(0)
        self._more_counts = _at_the_ends(self._kept, self._low, self._high) if few else np.zeros(0)

    def experience(self) -> Experience:
        distance, beyond = self._limits(np.ones(len(self.distances), dtype=bool))
        return Experience(self._kept.astype(np.float32), self._low, self._high, distance, beyond)

    def outside(self, fold: Mask) -> Mask:
        """Which held-out rows of a fold lie outside, by the limits of the other folds."""
        distance, beyond = self._limits(~fold)
        return np.asarray((self.distances[fold] > distance) | (self.counts[fold] > beyond))

    def _limits(self, rows: Mask) -> tuple[float, int]:
        distances = np.concatenate([self.distances[rows], self._more_distances])
        counts = np.concatenate([self.counts[rows], self._more_counts])
        distance = conformal_quantile(distances, INSIDE)
        if distance is None:
            distance = FEW_ROWS_MARGIN * float(distances.max(initial=1.0))
        beyond = conformal_quantile(counts, INSIDE)
        return max(distance, NEAR), int(counts.max(initial=0) if beyond is None else beyond)


def _commonest(column: Sequence[Value]) -> list[Value]:
    return [value for value, _ in Counter(column).most_common(KNOWN_VALUES)]


def _center_and_scale(column: Floats, flag: bool) -> tuple[float, float]:
    """Median and interquartile range. If most values are equal, a wider range is used. Booleans are not scaled."""
    present = column[~np.isnan(column)]
    if flag or not len(present):
        return 0.0, 1.0
    low, first, center, third, high = np.quantile(present, [0.0, 0.25, 0.5, 0.75, 1.0]).tolist()
    scale = third - first or high - low or abs(center) or 1.0
    return center, scale if np.isfinite(scale) else 1.0


def _ranges(encoding: Encoding, points: Floats) -> tuple[Floats, Floats]:
    """The training range of each column of a point; infinite for text lengths and for the known values of choices."""
    ranged = np.zeros(encoding.width, dtype=bool)
    ranged[: encoding.first_choice] = True
    ranged[encoding.others] = True
    low, high = np.full(encoding.width, -np.inf), np.full(encoding.width, np.inf)
    low[ranged], high[ranged] = points[:, ranged].min(axis=0), points[:, ranged].max(axis=0)
    # A missing value is unusual where none was missing, but a present one never is.
    low[len(encoding.measures) :] = -np.inf
    # A text that is a little longer than all others is not unusual.
    texts = slice(len(encoding.measures) - len(encoding.texts), len(encoding.measures))
    low[texts], high[texts] = -np.inf, np.inf
    return low, high


def _at_the_ends(points: Floats, low: Floats, high: Floats) -> Floats:
    """For each training row, how many of its values lie beyond the range of the other rows."""
    lowest, highest = points == low, points == high
    alone = (lowest & (lowest.sum(axis=0) == 1)) | (highest & (highest.sum(axis=0) == 1))
    return np.asarray(alone.sum(axis=1), dtype=np.float64)


def _distances(points: Floats, kept: Floats, *, itself: bool = False) -> Floats:
    """The distance of each point to its fifth nearest training row; `itself` leaves out the row itself."""
    points, kept = np.clip(points, -FARTHEST, FARTHEST), np.clip(kept, -FARTHEST, FARTHEST)
    place = min(NEIGHBOURS, len(kept) - itself) - 1 + itself
    blocks = [_nth(points[start : start + _BLOCK], kept, place) for start in range(0, len(points), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros(0)


def _nth(points: Floats, kept: Floats, place: int) -> Floats:
    squares = (points**2).sum(axis=1)[:, None] + (kept**2).sum(axis=1) - 2 * points @ kept.T
    nearest: Floats = np.sqrt(np.maximum(np.partition(squares, place, axis=1)[:, place], 0.0))
    return nearest
