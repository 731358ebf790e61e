"""Checks that a version answers as its estimator does: to the raw data, and to each row alone and among others."""

from collections.abc import Sequence
from dataclasses import replace
from textwrap import shorten
from typing import Any

import numpy as np
import numpy.typing as npt

from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Floats, RawPredictions, WrongShape, differences
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.engines.table import build_table
from predictions.serving.engines.verify import compare_arrangements
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.signature import Value
from predictions.serving.training.input_types import cells, python_rows
from predictions.serving.training.targets import SEVERAL, SEVERAL_NUMBERS

Row = list[Value]

# Rows of the data that are predicted alone, evenly spread.
ALONE = 64
# The probabilities of a row may add up to a little more or less than 1, by rounding in float32.
SHARES_TOLERANCE = 1e-4


def estimator_answers(engine: SklearnEngine, which: str, x: Any) -> RawPredictions:
    """The estimator's answers to the raw data. Raises CannotRegister, naming the row on which it fails."""
    count = row_count(x)
    try:
        return engine.predict_table(x, count)
    except WrongShape as error:
        remedy = SEVERAL if engine.classes or engine.targets else SEVERAL_NUMBERS
        raise CannotRegister(f"Of the {which} data: {error}. {remedy}") from error
    except Exception as error:  # an estimator may raise anything
        row = _failing_row(engine, x)
        place = "the" if row is None else f"row {row + 1} of the"
        remedy = "" if row is None else _filled(engine, x, row)
        raise CannotRegister(f"The estimator fails on {place} {which} data: {said(error)}.{remedy}") from error


def compare_with_estimator(engine: SklearnEngine, which: str, x: Any, rows: Sequence[Row], raw: RawPredictions) -> None:
    """Raises CannotRegister if serving would give other answers than the estimator gives to the raw data."""
    given = _served(engine, which, rows)
    found = differences(raw, given, ABSOLUTE_TOLERANCE)
    if not found:
        return
    _check_repeats(engine, raw, estimator_answers(engine, which, x))
    first = found[0]
    column = _other_column(engine, x, rows[first.row], first.row)
    raise CannotRegister(
        f"Row {first.row + 1} of the {which} data{column}: the estimator answers {_named(engine, first.expected)}, "
        f"and {_named(engine, first.given)} when the row is built as for serving ({len(found)} of {len(rows)} rows "
        f"differ). Give each column one type, and write its missing values in one way, in training and held-out data."
    )


def checked(engine: SklearnEngine, answers: RawPredictions, which: str) -> RawPredictions:
    """The answers. Raises CannotRegister for an answer that is no finite number or no class, or false probabilities."""
    outputs, shares = answers.outputs, answers.probabilities
    if not answers.are_finite:
        row = _first_row(~np.isfinite(outputs if shares is None else np.column_stack([outputs, shares])))
        raise CannotRegister(f"The estimator's answer to row {row} of the {which} data is not a finite number.")
    if (engine.classes or any(engine.targets)) and (outputs < 0).any():
        raise CannotRegister(
            f"The estimator answers row {_first_row(outputs < 0)} of the {which} data with a class that it does not "
            f"name: its predict() must give one of its classes_."
        )
    if shares is not None:
        _check_shares(engine, shares, which)
    return answers


def _check_shares(engine: SklearnEngine, shares: Floats, which: str) -> None:
    counts = [len(classes) for classes in engine.targets] or [len(engine.classes)]
    for part in np.split(shares, np.cumsum(counts)[:-1], axis=1):
        wrong = (np.abs(part - 0.5) > 0.5 + SHARES_TOLERANCE).any(axis=1)
        wrong |= np.abs(part.sum(axis=1) - 1) > SHARES_TOLERANCE
        if wrong.any():
            row = _first_row(wrong)
            given = ", ".join(f"{share:.4g}" for share in part[row - 1, :5])
            raise CannotRegister(
                f"The probabilities of row {row} of the {which} data are {given}: each must be between 0 and 1, and "
                f"their sum 1. Fit with an objective that gives such probabilities, or use CalibratedClassifierCV."
            )


def _first_row(marked: npt.NDArray[np.bool_]) -> int:
    """The number of the first row that has a mark, from 1."""
    return int(marked.reshape(len(marked), -1).any(axis=1).argmax()) + 1


def is_independent(engine: SklearnEngine, golden: Sequence[Row], rows: Sequence[Row]) -> bool:
    """Whether the other rows of a call do not change a row's answer. Raises CannotRegister if repeated calls differ."""
    alone = replace(engine, batching=False)
    spread = np.unique(np.linspace(0, len(rows) - 1, min(ALONE, len(rows))).round().astype(int)).tolist()
    some = [*golden, *(rows[place] for place in spread)]
    expected = alone.predict(some)
    _check_repeats(engine, expected, alone.predict(some))
    try:
        return not compare_arrangements(engine, some, expected, ABSOLUTE_TOLERANCE, alone=0) and not differences(
            expected, _first(engine.predict([*some, *rows]), len(some)), ABSOLUTE_TOLERANCE
        )
    except Exception:  # noqa: BLE001  # the estimator answers each row alone, and fails on several
        return False


def _check_repeats(engine: SklearnEngine, first: RawPredictions, second: RawPredictions) -> None:
    if found := differences(first, second, ABSOLUTE_TOLERANCE):
        raise CannotRegister(
            f"The estimator gives two answers to the same row ({_named(engine, found[0].expected)}, then "
            f"{_named(engine, found[0].given)}): fix its random_state."
        )


def row_count(x: Any) -> int:
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def said(error: BaseException) -> str:
    """The type and message of an error, on one line of at most 240 characters."""
    text = " ".join(str(error).split()).rstrip(".:, ")
    return shorten(f"{type(error).__name__}: {text}" if text else type(error).__name__, 240, placeholder="…")


def _served(engine: SklearnEngine, which: str, rows: Sequence[Row]) -> RawPredictions:
    try:
        return engine.predict(rows)
    except Exception as error:
        raise CannotRegister(
            f"The estimator answers the {which} data as train() gave it, and fails when it is built as for serving: "
            f"{said(error)}. Give each column one type."
        ) from error


def _failing_row(engine: SklearnEngine, x: Any) -> int | None:
    """The first row on which the estimator fails alone; None if it fails on no single row."""
    for row in range(min(row_count(x), 1000)):
        try:
            engine.predict_table(_slice(x, row), 1)
        except Exception:  # noqa: BLE001  # an estimator may raise anything
            return row
    return None


def _filled(engine: SklearnEngine, x: Any, row: int) -> str:
    """What to do if a row on which the estimator fails has missing values; empty if it has none."""
    (values,) = python_rows(_slice(x, row), engine.signature)
    name = next((name for name, value in zip(engine.signature.names, values, strict=True) if value is None), None)
    if name is None:
        return ""
    return f" It has no value for {name!r}: if missing values were filled before fitting, fill them in the data too."


def _slice(x: Any, row: int) -> Any:
    return x.iloc[row : row + 1] if hasattr(x, "iloc") else x[row : row + 1]


def _other_column(engine: SklearnEngine, x: Any, row: Row, position: int) -> str:
    """The first column whose built value differs from the raw one, as a part of a message; empty if there is none."""
    dense = [part.toarray() if hasattr(part, "toarray") else part for part in (x, build_table([row], engine.schema))]
    given, built = _slice(dense[0], position), dense[1]
    for place, name in enumerate(engine.signature.names):
        before, after = cells(given, place)[0], cells(built, place)[0]
        if type(before) is not type(after) or (before != after and before == before):
            return f", column {name} ({before!r} became {after!r})"
    return ""


def _named(engine: SklearnEngine, answer: str) -> str:
    """The name of the class if the answer is a class position; -1 stands for an unknown class."""
    if not engine.classes:
        return answer
    try:
        position = int(float(answer))
    except ValueError:
        return answer
    return repr(engine.classes[position]) if position >= 0 else "a class that it was not fitted with"


def _first(answers: RawPredictions, count: int) -> RawPredictions:
    shares = answers.probabilities
    return RawPredictions(answers.outputs[:count], None if shares is None else shares[:count])
