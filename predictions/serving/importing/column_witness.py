"""The facts about one column that a fitted estimator gives."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from predictions.serving.training.input_types import is_missing


@dataclass(frozen=True, slots=True)
class Witness:
    """`source` is the class name of the step that gives the facts.

    `categories` are all values that the step takes, in its own order, without missing ones. `is_choice`: the values are
    categories, although the step may not list them. `fill` is the value that an imputer writes for a missing one.
    `writes_none`: the step has None as its missing category. `writes_empty`: a missing value is the empty text to it.
    """

    source: str
    categories: tuple[Any, ...] | None = None
    is_choice: bool = False
    is_text: bool = False
    takes_missing: bool = False
    writes_none: bool = False
    writes_empty: bool = False
    refuses_unseen: bool = False
    needs_category_dtype: bool = False
    fill: Any = None

    @property
    def is_yes_no(self) -> bool:
        """Whether the categories are true and false."""
        return bool(self.categories) and all(isinstance(value, bool | np.bool_) for value in self.categories or ())

    def is_gap(self, value: Any) -> bool:
        """Whether the value stands for a missing one."""
        return is_missing(value) or (self.writes_empty and isinstance(value, str) and not value)

    def joined(self, other: "Witness") -> "Witness":
        """The combined facts of two steps that see the same column."""
        first = self if self.categories is not None or other.categories is None else other
        return Witness(
            source=first.source,
            categories=first.categories,
            is_choice=self.is_choice or other.is_choice,
            is_text=self.is_text or other.is_text,
            takes_missing=self.takes_missing or other.takes_missing,
            writes_none=self.writes_none or other.writes_none,
            writes_empty=self.writes_empty or other.writes_empty,
            refuses_unseen=self.refuses_unseen or other.refuses_unseen,
            needs_category_dtype=self.needs_category_dtype or other.needs_category_dtype,
            fill=self.fill if self.fill is not None else other.fill,
        )
