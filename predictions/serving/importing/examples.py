"""Typical rows for the form, made of medians and most common values, so that no row of the data is shown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from predictions.serving.artifacts.description import Example
from predictions.serving.importing.columns import Decision, typical
from predictions.serving.schema.signature import Boolean, Choice, Integer, Number, Text
from predictions.serving.training.input_types import is_missing

# Up to this many classes get a typical row each.
MOST_CLASSES = 6


def examples(
    decisions: Sequence[Decision], table: pd.DataFrame | None, truth: pd.Series | None, task: str
) -> list[Example]:
    """A typical row, and one for each class if there are few; plain values without data; no row with a text feature."""
    if any(isinstance(decision.feature, Text) for decision in decisions):
        return []  # a text of the data may be personal
    if table is None:
        return [Example(title=f"All {number}", values=_plain(decisions, number)) for number in (0, 1)]
    found = [Example(title="Typical", values=_typical(decisions, table))]
    if task == "classification" and truth is not None and truth.nunique() <= MOST_CLASSES:
        for class_, rows in truth.groupby(truth, sort=True):
            found.append(Example(title=f"Typical {class_}", values=_typical(decisions, table.loc[rows.index])))
    return found


def _typical(decisions: Sequence[Decision], table: pd.DataFrame) -> dict[str, Any]:
    row = {}
    for decision in decisions:
        feature = decision.feature
        present = [value for value in table[feature.name].astype(object) if not is_missing(value)]
        if isinstance(feature, Choice):  # without the empty text, where it stands for a missing value
            present = [value for value in present if value in feature.values]
        if present:
            row[feature.name] = typical(feature, present)
        elif feature.required:
            row[feature.name] = feature.default
    return row


def _plain(decisions: Sequence[Decision], number: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for decision in decisions:
        feature = decision.feature
        if isinstance(feature, Number | Integer):
            row[feature.name] = number
        elif isinstance(feature, Boolean):
            row[feature.name] = bool(number)
        elif isinstance(feature, Choice):
            row[feature.name] = feature.values[min(number, len(feature.values) - 1)]
    return row
