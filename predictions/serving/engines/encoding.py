"""Rows of any signature as points, so that their distances can be compared.

A number is scaled by its median and interquartile range in the training data. A choice becomes one column for each
value, such that one mismatch adds the distance 1: as much as one interquartile range. A missing number is marked in a
column of its own. A date counts as a number of days. A text counts by its length alone, since words have no distance.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from predictions.serving.engines.base import Floats
from predictions.serving.schema.signature import Value

# Two columns differ when a choice differs, so their squares add up to 1.
ONE_HOT = 0.5**0.5


@dataclass(frozen=True)
class Encoding:
    """Columns of a point: one for each measure, one for each measure that may be missing, then those of the choices.

    Numbers, dates and texts are measures. `numbers`, `dates`, `texts` and `choices` are positions in the signature.
    `optional` are the columns of the measures that may be missing. `categories` has the known values of each choice;
    each choice has one more column for all other values.
    """

    numbers: list[int]
    dates: list[int]
    texts: list[int]
    choices: list[int]
    optional: list[int]
    categories: list[list[Value]]
    center: Floats
    scale: Floats

    @property
    def width(self) -> int:
        return self.first_choice + sum(len(known) + 1 for known in self.categories)

    @cached_property
    def measures(self) -> list[int]:
        """Positions of the features that are measured: numbers, dates, and texts by their length."""
        return [*self.numbers, *self.dates, *self.texts]

    @property
    def first_choice(self) -> int:
        """The first column of the choices."""
        return len(self.measures) + len(self.optional)

    @cached_property
    def others(self) -> list[int]:
        """The columns that mark a value of a choice as none of the known ones."""
        return [other for _, _, other in self._choices]

    def encode(self, rows: Sequence[Sequence[Value]]) -> Floats:
        """Points of shape [rows, width]."""
        measured = self.measure(rows)
        count = len(self.measures)
        points = np.zeros((len(rows), self.width))
        points[:, :count] = (measured - self.center) / self.scale
        if self.optional:
            missing = np.isnan(measured)
            points[:, :count][missing] = 0.0
            points[:, count : self.first_choice] = missing[:, self.optional]
        for place, columns, other in self._choices:
            points[range(len(rows)), [columns.get(row[place], other) for row in rows]] = ONE_HOT
        return points

    def measure(self, rows: Sequence[Sequence[Value]]) -> Floats:
        """Numbers, days and lengths of texts, not scaled, NaN where missing, of shape [rows, measures]."""
        if self._only_numbers:
            return np.array(rows, dtype=np.float64)  # numpy reads None as NaN here
        if self.dates or self.texts:
            values = [self._sizes(row) for row in rows]
        else:
            values = [[row[place] for place in self.numbers] for row in rows]
        return np.array(values, dtype=np.float64).reshape(len(rows), len(self.measures))

    def arrays(self) -> dict[str, Any]:
        layout = [self.numbers, self.dates, self.texts, self.choices, self.optional, self.categories]
        return {
            "layout": np.frombuffer(json.dumps(layout).encode(), dtype=np.uint8),
            "center": self.center,
            "scale": self.scale,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any]) -> "Encoding":
        numbers, dates, texts, choices, optional, categories = json.loads(arrays["layout"].tobytes())
        return cls(numbers, dates, texts, choices, optional, categories, arrays["center"], arrays["scale"])

    @cached_property
    def _only_numbers(self) -> bool:
        return not (self.dates or self.texts or self.choices)

    def _sizes(self, row: Sequence[Value]) -> list[Any]:
        numbers = [row[place] for place in self.numbers]
        dates = [_days(row[place]) for place in self.dates]
        return [*numbers, *dates, *(_length(row[place]) for place in self.texts)]

    @cached_property
    def _choices(self) -> list[tuple[int, dict[Value, int], int]]:
        """For each choice its position, the column of each value, and the column of all other values."""
        found, column = [], self.first_choice
        for place, known in zip(self.choices, self.categories, strict=True):
            columns = {value: column + number for number, value in enumerate(known)}
            found.append((place, columns, column + len(known)))
            column += len(known) + 1
        return found


def _days(value: Value) -> int | None:
    return None if value is None else date.fromisoformat(str(value)).toordinal()


def _length(value: Value) -> int | None:
    return None if value is None else len(str(value))
