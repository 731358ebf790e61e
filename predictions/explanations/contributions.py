"""Shapley values of one row against background rows: what each feature adds to the answer.

This module needs numpy only.

The value of a set S of features is the mean answer of the background rows with the features of S taken from the row
(interventional: Janzing et al. 2020, arXiv:1910.13413). So the contributions always add up to the answer minus the mean
answer of the background rows. All columns that an estimator makes of one feature count as that feature.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from predictions.serving.engines.base import Floats
from predictions.serving.schema.signature import Value

Row: TypeAlias = Sequence[Value]
# One number for each row.
Answer: TypeAlias = Callable[[list[list[Value]]], Floats]

# An exact computation by sets predicts at most this many rows: those of ten features with 50 background rows.
MOST_ROWS = 60_000
# Rows of one call. A longer call could not be stopped in time.
CALL_ROWS = 10_000
# Features have no interactions if their single effects add up to those of sets, with this relative error at most. The
# sets are all features together, and random ones.
ADDITIVE = 1e-9
CHECKED_SETS = 1000


@dataclass(frozen=True, slots=True)
class Contributions:
    """`base` is the mean answer of the background rows, and base + sum(values) is the answer.

    `method`: exact, or sampled by permutations of the features as long as time allowed.
    """

    base: float
    answer: float
    values: list[float]
    method: Literal["exact", "sampled"]


def contributions(answer: Answer, row: Row, background: Sequence[Row], seconds: float) -> Contributions:
    """The contribution of each feature of the row. `background` has at least one row."""
    until = time.monotonic() + seconds
    return (
        _additive(answer, row, background)
        or _by_sets(answer, row, background, until)
        or _by_permutations(answer, row, background, until)
    )


# --- Without interactions: linear models, additive models, trees of depth one -----------------------------------------
def _additive(answer: Answer, row: Row, background: Sequence[Row]) -> Contributions | None:
    """Exact where, for each background row, the effects of the single features add up; None elsewhere."""
    count = len(row)
    rows = [list(row), *(list(other) for other in background)]
    rows += [_taken(other, row, [place]) for other in background for place in range(count)]
    answers = answer(rows)
    whole, bases = float(answers[0]), answers[1 : len(background) + 1]
    effects = answers[len(background) + 1 :].reshape(len(background), count) - bases[:, None]
    allowed = ADDITIVE * (np.abs(effects).sum(axis=1) + np.abs(bases) + abs(whole))
    if (np.abs(bases + effects.sum(axis=1) - whole) > allowed).any():
        return None
    if not _sets_add_up(answer, row, background, np.column_stack([bases, effects]), allowed):
        return None
    return Contributions(float(bases.mean()), whole, effects.mean(axis=0).tolist(), "exact")


def _sets_add_up(answer: Answer, row: Row, background: Sequence[Row], terms: Floats, allowed: Floats) -> bool:
    """Whether the single effects add up for random sets too. For all features together they may do so by chance.

    `terms` are the answer of each background row and its effects; `allowed` is the error of each row.
    """
    random, count = np.random.default_rng(0), len(row)
    if count < 3:  # there are no other sets
        return True
    places = np.arange(CHECKED_SETS) % len(background)
    sets = [random.permutation(count)[: random.integers(2, count)] for _ in places]
    pairs = list(zip(places.tolist(), sets, strict=True))
    answers = answer([_taken(background[place], row, chosen.tolist()) for place, chosen in pairs])
    sums = np.array([terms[place, 0] + terms[place, 1 + chosen].sum() for place, chosen in pairs])
    return bool((np.abs(answers - sums) <= allowed[places]).all())


# --- Few features -----------------------------------------------------------------------------------------------------
def _by_sets(answer: Answer, row: Row, background: Sequence[Row], until: float) -> Contributions | None:
    """Exact, from the values of all sets; None if these are too many, or if time runs out."""
    count = len(row)
    if len(background) << count > MOST_ROWS:
        return None
    sets = np.arange(1 << count)
    totals = np.zeros(len(sets))
    members = [[place for place in range(count) if chosen >> place & 1] for chosen in sets.tolist()]
    for other in background:
        for start in range(0, len(sets), CALL_ROWS):
            if time.monotonic() > until:
                return None
            part = slice(start, start + CALL_ROWS)
            totals[part] += answer([_taken(other, row, chosen) for chosen in members[part]])
    values = totals / len(background)
    sizes = np.array([len(chosen) for chosen in members])
    weights = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    found = [_shapley(values, sizes, weights, place) for place in range(count)]
    return Contributions(float(values[0]), float(values[-1]), found, "exact")


def _shapley(values: Floats, sizes: Floats, weights: Floats, place: int) -> float:
    sets = np.arange(len(values))
    without = sets[(sets >> place & 1) == 0]
    gains = values[without | (1 << place)] - values[without]
    return float((weights[sizes[without].astype(int)] * gains).sum())


# --- Many features ----------------------------------------------------------------------------------------------------
def _by_permutations(answer: Answer, row: Row, background: Sequence[Row], until: float) -> Contributions:
    """Sampled: an order of the features and its reverse for each background row, in rounds over all of them.

    The effects along one order add up to the whole difference, so those of a whole round do too (Castro et al. 2009).
    """
    random, count = np.random.default_rng(0), len(row)
    totals, rounds, longest = np.zeros(count), 0, 0.0
    base = whole = 0.0
    while not rounds or time.monotonic() + longest < until:
        began = time.monotonic()
        found, base, whole = _round(answer, row, background, random)
        totals, rounds = totals + found, rounds + 1
        longest = max(longest, time.monotonic() - began)
    return Contributions(base, whole, (totals / rounds).tolist(), "sampled")


def _round(
    answer: Answer, row: Row, background: Sequence[Row], random: np.random.Generator
) -> tuple[Floats, float, float]:
    count = len(row)
    totals, bases, wholes = np.zeros(count), [], []
    for other in background:
        order = random.permutation(count)
        paths = [order, order[::-1]]
        rows = [_taken(other, row, path[:length].tolist()) for path in paths for length in range(count + 1)]
        answers = answer(rows).reshape(2, count + 1)
        for path, along in zip(paths, answers, strict=True):
            totals[path] += np.diff(along)
        bases.append(answers[0, 0])
        wholes.append(answers[0, -1])
    return totals / (2 * len(background)), float(np.mean(bases)), float(np.mean(wholes))


def _taken(other: Row, row: Row, places: Sequence[int]) -> list[Value]:
    """The other row with the values of `row` at these places."""
    mixed = list(other)
    for place in places:
        mixed[place] = row[place]
    return mixed
