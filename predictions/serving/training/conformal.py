"""Conformal sets and intervals from held-out rows.

For any estimator, a new row of the same distribution is covered with the stated probability: Vovk, Gammerman & Shafer,
Algorithmic Learning in a Random World (2005); Angelopoulos & Bates (2021), arXiv:2107.07511, section 1; per class:
Vovk (2012), section 3 (Mondrian).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import betabinom, binomtest

from predictions.serving.artifacts.sureness import SET_COVERAGES, Evidence, Measured, Sets, rows_needed
from predictions.serving.engines.base import Floats
from predictions.serving.schema.sentences import english
from predictions.serving.training.calibrate import Mask, Unsupported, folds

INTERVAL_COVERAGES = (0.9, 0.8)
BAND = 0.99


def conformal_quantile(scores: Floats, coverage: float) -> float | None:
    """The ceil((n + 1) * coverage)-th smallest score; None if n is too small for it, or if a score is not finite."""
    place = rank(len(scores), coverage)
    if place > len(scores) or not np.isfinite(scores).all():
        return None
    return float(np.partition(scores, place - 1)[place - 1])


def rank(rows: int, coverage: float) -> int:
    # `round` removes the error of binary fractions: 0.9 * 10 must not count as slightly more than 9.
    return math.ceil(round((rows + 1) * coverage, 9))


def best_coverage(rows: int, coverages: Sequence[float], label: str = "") -> float:
    """The first of the coverages (highest first) that this many rows support: rows >= 2 / (1 - coverage).

    `label` names the class of the rows in the message. Raises Unsupported.
    """
    for coverage in coverages:
        if rows >= rows_needed(coverage):
            return coverage
    needed = rows_needed(coverages[-1])
    if not label:
        raise Unsupported(
            english("There are only {rows} held-out rows; {needed} are needed.", rows=rows, needed=needed)
        )
    raise Unsupported(
        english(
            "The class {label} has only {rows} held-out rows; {needed} are needed.",
            label=label,
            rows=rows,
            needed=needed,
        )
    )


def class_sets(shares: Floats, truth: Floats, labels: Sequence[str]) -> Sets:
    """Thresholds per class for [rows, classes] probabilities and true positions. Raises Unsupported."""
    counts = np.bincount(truth.astype(int), minlength=len(labels)).tolist()
    fewest = counts.index(min(counts))
    coverage = best_coverage(counts[fewest], SET_COVERAGES, labels[fewest])
    scores = own_scores(shares, truth)
    return Sets(
        coverage=coverage,
        thresholds=thresholds(scores, truth, len(labels), coverage),
        rows=counts,
        measured=[measured(scores[truth == class_], coverage) for class_ in range(len(labels))],
    )


def own_scores(shares: Floats, truth: Floats) -> Floats:
    """The conformal score of each row: 1 - p of its true class."""
    return np.asarray(1.0 - shares[np.arange(len(truth)), truth.astype(int)])


def thresholds(scores: Floats, truth: Floats, classes: int, coverage: float) -> list[float]:
    found = [conformal_quantile(scores[truth == class_], coverage) for class_ in range(classes)]
    # No score is above 1. Without a quantile the class can't be excluded.
    return [1.0 if limit is None else limit for limit in found]


def in_sets(shares: Floats, limits: Sequence[float]) -> Mask:
    """Whether each class is in the set of each row."""
    return np.asarray(1.0 - shares <= np.array(limits))


@dataclass(frozen=True, slots=True)
class ClassEvidence:
    """The right answers of each grade and answered class, and the classes whose answers are never clear."""

    by_grade: dict[Literal["clear", "uncertain"], list[Evidence]]
    never_clear: list[int]


def class_evidence(
    shares: Floats, answers: Floats, truth: Floats, coverage: float, outside: Callable[[Mask], Mask]
) -> ClassEvidence:
    """The right answers by cross-conformal prediction: nine folds give the thresholds for the tenth.

    A set promises something about each true class, and nothing about each answer: of a rare class, most answers may be
    wrong. So the answers of each class are counted apart. Where clear answers of a class were wrong more than twice as
    often as the sets may be, and that is no chance, no answer of this class counts as clear. (If half of all sets hold
    one class, and the others several, then such a set is wrong twice as often as all sets.)

    `outside` takes the mask of a fold and returns which of its rows lie outside, by the limits of the other folds.
    """
    scores, clear = own_scores(shares, truth), np.zeros(len(truth), dtype=bool)
    inside = np.ones(len(truth), dtype=bool)
    for test in folds(truth):
        limits = thresholds(scores[~test], truth[~test], shares.shape[1], coverage)
        clear[test] = is_clear(in_sets(shares[test], limits), answers[test])
        inside[test] = ~outside(test)
    classes, right = range(shares.shape[1]), answers == truth
    found = [_counted(right, clear & inside & (answers == class_)) for class_ in classes]
    never_clear = [class_ for class_ in classes if _is_below(found[class_], 1 - 2 * (1 - coverage))]
    clear &= ~np.isin(answers, never_clear)
    return ClassEvidence(
        {
            "clear": [_counted(right, clear & inside & (answers == class_)) for class_ in classes],
            "uncertain": [_counted(right, ~clear & inside & (answers == class_)) for class_ in classes],
        },
        never_clear,
    )


def _counted(right: Mask, rows: Mask) -> Evidence:
    return Evidence(right=int((right & rows).sum()), of=int(rows.sum()))


def _is_below(found: Evidence, share: float) -> bool:
    """Whether the range of what the share may be (95 %, Wilson 1927) ends below `share`."""
    if not found.of:
        return False
    high: float = binomtest(found.right, found.of).proportion_ci(method="wilson").high
    return high < share


def is_clear(sets: Mask, answers: Floats) -> Mask:
    """Whether a set holds exactly one class, and it is the answer."""
    places = answers.astype(int)
    own = sets[np.arange(len(sets)), np.maximum(places, 0)]
    return np.asarray((sets.sum(axis=1) == 1) & own & (places >= 0))


def measured(scores: Floats, coverage: float) -> Measured:
    """Coverage counted on a random half with the quantile of the other half, and the band in which it should lie."""
    shuffled = np.random.default_rng(0).permutation(scores)
    ours, theirs = shuffled[::2], shuffled[1::2]
    limit = conformal_quantile(ours, coverage)
    covered = len(theirs) if limit is None else int((theirs <= limit).sum())
    low, high = band(len(ours), len(theirs), coverage)
    return Measured(covered=covered, of=len(theirs), calibrated_on=len(ours), low=low, high=high)


def band(calibrated_on: int, of: int, coverage: float) -> tuple[int, int]:
    """The range (low, high) in which the number of covered rows among `of` new rows lies in 99 of 100 cases."""
    a = rank(calibrated_on, coverage)
    if a > calibrated_on:
        return of, of
    low, high = betabinom.interval(BAND, of, a, calibrated_on + 1 - a)
    return int(low), int(high)
