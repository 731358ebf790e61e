"""Checks that a compiled estimator gives the estimator's answers, on known rows and on many similar ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from textwrap import shorten
from typing import NamedTuple, TypeAlias

import numpy as np

from predictions.serving.compile import perturbation
from predictions.serving.engines.base import RELATIVE_TOLERANCE, Engine, Floats, RawPredictions, WrongShape, differences
from predictions.serving.engines.onnx import OnnxEngine
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.signature import Value

Rows: TypeAlias = Sequence[list[Value]]

# A compiled probability may differ by this much, and any other compiled number by this share of its size. Rounding
# errors are much smaller, and people read fewer digits. The range of all answers is no measure: in skewed data the
# largest answer may be a million times the smallest.
TOLERANCE = 1e-5
# A number that is nearly zero may differ by this share of the mean size of the known answers.
NEAR_ZERO = 1e-9
# The distance between two classes below which a rounding might decide, as a multiple of the largest difference seen.
TIE_FACTOR = 10
MOVED_ROWS = 1500
WIDE_ROWS = 1500
SPLIT_ROWS = 1000
GRID_ROWS = 1500
TIMED_CALLS = 5
TIMED_ROWS = 64


class NotCompiled(ValueError):
    """The estimator is served without compilation. The message tells analysts the reason."""


class Bound(NamedTuple):
    """The largest difference that a number may have: `absolute`, or the share `relative` of its size, if larger."""

    absolute: float
    relative: float


@dataclass(frozen=True, slots=True)
class Proof:
    """`tolerance` is the largest difference that a known row may have, `largest_difference` the one that was seen."""

    tolerance: float
    largest_difference: float
    tie_margin: float
    rows: int
    milliseconds: float


def prove(source: SklearnEngine, plain: OnnxEngine, rows: Rows) -> Proof:
    """Compare all answers. `plain` is the compiled engine, still without a tie margin. Raises NotCompiled."""
    random = np.random.default_rng(0)
    around = [*rows, *_around(source, rows, random)]
    expected, given = _expected(source, around), _given(plain, around)
    bound = _bound(source, expected.outputs[: len(rows)])
    largest = _largest_difference(source, expected, given, len(rows))
    if source.classes and not largest <= TOLERANCE:
        raise NotCompiled(f"Compiled, its numbers differ by up to {largest:.1e}; {TOLERANCE:.1e} is allowed.")
    if not source.classes and (unlike := differences(expected, given, *bound)):
        raise NotCompiled(f"Compiled, its numbers differ: {unlike[0].given} where {unlike[0].expected} is due.")
    engine = replace(plain, tie_margin=largest * TIE_FACTOR if source.classes else 0.0)
    others = int((_given(engine, around).outputs != expected.outputs).sum()) if source.classes else 0
    if others:
        raise NotCompiled(f"Compiled, it gives another label to {others} of {len(around)} rows.")
    _prove_odd_rows(source, engine, perturbation.odd(rows, source.signature, random), bound)
    tolerance = TOLERANCE if source.classes else TOLERANCE * float(np.abs(expected.outputs[: len(rows)]).max())
    return Proof(tolerance, largest, engine.tie_margin, len(around), _quicker(source, engine, rows))


def _around(source: SklearnEngine, rows: Rows, random: np.random.Generator) -> list[list[Value]]:
    signature = source.signature
    splits = perturbation.split_values(source.estimator, len(signature.features))
    return [
        *perturbation.moved(rows, signature, MOVED_ROWS, random),
        *perturbation.wide(rows, signature, WIDE_ROWS, random),
        *perturbation.on_grid(rows, signature, GRID_ROWS, random),
        *perturbation.on_splits(rows, signature, splits, SPLIT_ROWS, random),
    ]


def _expected(source: SklearnEngine, rows: Rows) -> RawPredictions:
    try:
        answers = source.predict(rows)
    except Exception as error:  # an estimator may raise anything
        raise NotCompiled(f"It fails itself on rows that model.toml allows ({type(error).__name__}).") from error
    if not answers.are_finite:
        raise NotCompiled("Its own answers to rows that model.toml allows are not all finite numbers.")
    return answers


def _given(engine: Engine, rows: Rows) -> RawPredictions:
    try:
        return engine.predict(rows)
    except WrongShape as error:
        raise NotCompiled(f"Compiled, it answers in another form: {error}.") from error
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise NotCompiled(f"ONNX Runtime cannot run it: {said(error)}.") from error


def _bound(source: SklearnEngine, known: Floats) -> Bound:
    if source.classes:
        return Bound(TOLERANCE, RELATIVE_TOLERANCE)
    return Bound(NEAR_ZERO * float(np.abs(known).mean()), TOLERANCE)


def _largest_difference(source: SklearnEngine, expected: RawPredictions, given: RawPredictions, known: int) -> float:
    """Of all probabilities; of a regression, of the answers to the known rows, which come first."""
    if not source.classes:
        return float(np.abs(given.outputs - expected.outputs)[:known].max())
    if given.probabilities is None or expected.probabilities is None:
        return 0.0  # labels alone have no distance
    return float(np.abs(given.probabilities - expected.probabilities).max())


def _prove_odd_rows(source: SklearnEngine, engine: Engine, rows: Rows, bound: Bound) -> None:
    """Where the estimator fails on a row, the compiled one must fail too."""
    if _agree(_answer(source, rows), _answer(engine, rows), bound):
        return
    for row in rows:
        expected, given = _answer(source, [row]), _answer(engine, [row])
        if expected is None and given is not None:
            raise NotCompiled("Compiled, it answers rows on which it fails itself.")
        if expected is not None and not _agree(expected, given, bound):
            raise NotCompiled("Compiled, it answers otherwise where a value is missing, extreme or a rare choice.")


def _agree(expected: RawPredictions | None, given: RawPredictions | None, bound: Bound) -> bool:
    return expected is not None and given is not None and not differences(expected, given, *bound)


def _answer(engine: Engine, rows: Rows) -> RawPredictions | None:
    try:
        answers = engine.predict(rows)
    except Exception:  # noqa: BLE001  # a user would be told that there is no answer
        return None
    return answers if answers.are_finite else None


def _quicker(source: SklearnEngine, engine: Engine, rows: Rows) -> float:
    """Milliseconds for one row. Raises NotCompiled unless one row and a batch are faster than with the estimator."""
    batch = [rows[place % len(rows)] for place in range(TIMED_ROWS)]
    one = _milliseconds(engine, batch[:1])
    if one > _milliseconds(source, batch[:1]) or _milliseconds(engine, batch) > _milliseconds(source, batch):
        raise NotCompiled("Compiled, it is no quicker.")
    return one


def _milliseconds(engine: Engine, rows: Rows) -> float:
    spent = []
    for _ in range(TIMED_CALLS):
        started = time.perf_counter()
        engine.predict(rows)
        spent.append(time.perf_counter() - started)
    return median(spent) * 1000


def said(error: Exception) -> str:
    """The beginning of a library's message, on one line."""
    first = str(error).strip().partition("\n")[0].rstrip(".:, ")
    return shorten(f"{type(error).__name__}: {first}", 140, placeholder="…")
