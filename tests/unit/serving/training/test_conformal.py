"""Sets and intervals against the definition of conformal prediction."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from predictions.serving.artifacts.sureness import Evidence
from predictions.serving.engines.base import Floats
from predictions.serving.training.calibrate import Unsupported
from predictions.serving.training.conformal import (
    band,
    best_coverage,
    class_evidence,
    class_sets,
    conformal_quantile,
    in_sets,
)
from predictions.serving.training.intervals import Bounds, bounds, interval, interval_evidence


@pytest.mark.parametrize(("count", "expected"), [(8, None), (9, 9.0), (10, 10.0), (19, 18.0), (100, 91.0)])
def test_conformal_quantile_is_corrected_for_few_rows(count: int, expected: float | None) -> None:
    assert conformal_quantile(np.arange(1, count + 1, dtype=np.float64), 0.9) == expected


def test_conformal_quantile_holds_its_coverage() -> None:
    random = np.random.default_rng(1)
    covered = []
    for _ in range(2000):
        scores = random.exponential(size=31)
        limit = conformal_quantile(scores[:30], 0.9)
        assert limit is not None
        covered.append(scores[30] <= limit)
    assert 0.88 < np.mean(covered) < 0.93


@pytest.mark.parametrize(("rows", "coverage"), [(9, None), (10, 0.8), (19, 0.8), (20, 0.9), (40, 0.95), (100, 0.98)])
def test_best_coverage_has_room_to_spare(rows: int, coverage: float | None) -> None:
    if coverage is None:
        with pytest.raises(Unsupported, match="The class b has only 9 held-out rows; 10 are needed"):
            best_coverage(rows, (0.98, 0.95, 0.9, 0.8), "b")
    else:
        assert best_coverage(rows, (0.98, 0.95, 0.9, 0.8), "") == coverage


def sample(random: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    """Two overlapping classes, the second one rare."""
    truth = (random.uniform(size=rows) < 0.3).astype(np.float64)
    return random.normal(size=(rows, 2)) + truth[:, None], truth


def test_class_sets_cover_each_class_as_stated() -> None:
    random = np.random.default_rng(5)
    estimator = LogisticRegression().fit(*sample(random, 200))
    covered: list[list[float]] = [[], []]
    upper = np.zeros(2)
    for _ in range(400):
        x, truth = sample(random, 400)
        shares = estimator.predict_proba(x)
        sets = class_sets(shares[:150], truth[:150], ["a", "b"])
        coverage = 0.9
        limits = [
            conformal_quantile(1 - shares[:150][truth[:150] == class_, class_], coverage) or 1.0 for class_ in (0, 1)
        ]
        if sets.coverage == coverage:
            assert sets.thresholds == limits
        held = in_sets(shares[150:], limits)
        for class_ in (0, 1):
            covered[class_].append(float(held[truth[150:] == class_, class_].mean()))
            upper[class_] += 1 / (int((truth[:150] == class_).sum()) + 1) / 400
    for class_ in (0, 1):
        assert 0.9 - 0.01 <= np.mean(covered[class_]) <= 0.9 + upper[class_] + 0.01


def test_class_sets_threshold_is_the_order_statistic_of_its_own_class() -> None:
    random = np.random.default_rng(0)
    second = random.uniform(size=60)
    shares, truth = np.column_stack([1 - second, second]), np.array([0.0] * 40 + [1.0] * 20)
    sets = class_sets(shares, truth, ["a", "b"])
    assert (sets.coverage, sets.rows) == (0.9, [40, 20])
    # ceil(41 * 0.9) = 37 and ceil(21 * 0.9) = 19
    assert sets.thresholds == [sorted(second[:40])[36], sorted(1 - second[40:])[18]]
    for measured, of in zip(sets.measured, (20, 10), strict=True):
        assert (measured.of, measured.calibrated_on) == (of, of)
        assert measured.low <= measured.covered <= measured.high


def test_class_sets_without_rows_of_a_class_name_it() -> None:
    with pytest.raises(Unsupported, match="The class b has only 0 held-out rows; 10 are needed"):
        class_sets(np.full((20, 2), 0.5), np.zeros(20), ["a", "b"])


def test_band_holds_the_count_in_99_of_100_splits() -> None:
    random = np.random.default_rng(2)
    low, high = band(40, 60, 0.9)
    counts = []
    for _ in range(2000):
        scores = random.exponential(size=100)
        counts.append(int((scores[40:] <= (conformal_quantile(scores[:40], 0.9) or 0)).sum()))
    inside = np.mean([low <= count <= high for count in counts])
    assert 0.985 <= inside <= 1.0
    assert low > 40


def test_class_evidence_counts_each_row_once_and_leaves_out_rows_outside() -> None:
    random = np.random.default_rng(7)
    x, truth = sample(random, 300)
    shares = LogisticRegression().fit(*sample(random, 200)).predict_proba(x)
    answers = shares.argmax(axis=1).astype(np.float64)
    nothing = class_evidence(shares, answers, truth, 0.9, lambda fold: np.zeros(int(fold.sum()), dtype=bool))
    clear, uncertain = nothing.by_grade["clear"], nothing.by_grade["uncertain"]
    for class_ in (0, 1):
        assert clear[class_].of + uncertain[class_].of == (answers == class_).sum()
        assert clear[class_].right + uncertain[class_].right == ((answers == class_) & (truth == class_)).sum()
    shares_right = [sum(one.right for one in counts) / sum(one.of for one in counts) for counts in (clear, uncertain)]
    assert shares_right[0] > shares_right[1]
    assert nothing.never_clear == []
    all_outside = class_evidence(shares, answers, truth, 0.9, lambda fold: np.ones(int(fold.sum()), dtype=bool))
    assert sum(found.of for counts in all_outside.by_grade.values() for found in counts) == 0


def test_rare_class_whose_answers_are_often_wrong_is_never_clear() -> None:
    """3 in 100 cases are fraud. With balanced weights half of the clear answers of fraud are wrong, and nearly all
    answers together are right: the count of all would call each of them sure."""
    random = np.random.default_rng(1)
    truth = (random.uniform(size=8000) < 0.03).astype(np.float64)
    x = random.normal(size=(8000, 3)) + 1.6 * truth[:, None]
    estimator = LogisticRegression(class_weight="balanced").fit(x[:4000], truth[:4000])
    shares, answers = estimator.predict_proba(x[4000:]), estimator.predict(x[4000:])

    found = class_evidence(shares, answers, truth[4000:], 0.95, lambda fold: np.zeros(int(fold.sum()), dtype=bool))

    ok, fraud = found.by_grade["clear"][0], found.by_grade["uncertain"][1]
    assert found.never_clear == [1]
    assert ok.right / ok.of > 0.99
    assert fraud.right / fraud.of == ((answers == 1) & (truth[4000:] == 1)).sum() / (answers == 1).sum() < 0.5
    assert found.by_grade["clear"][1] == Evidence(right=0, of=0)


def test_interval_of_constant_errors() -> None:
    found = interval(np.full(20, 2.0), None, Bounds(None, None, None))
    assert (found.coverage, found.quantile, found.method, found.mean_width) == (0.9, 2.0, "constant", 4.0)
    assert interval_evidence(np.full(20, 2.0), np.ones(20), 0.9) == Evidence(right=20, of=20)


def test_interval_of_few_rows_says_how_many_are_needed() -> None:
    with pytest.raises(Unsupported, match="There are only 3 held-out rows; 10 are needed"):
        interval(np.ones(3), None, Bounds(None, None, None))


@pytest.mark.parametrize(
    ("minimum", "maximum", "expected"),
    [(0.0, None, Bounds(0.0, None, "model")), (None, None, Bounds(-1.0, 11.0 + 1e-15, "training"))],
)
def test_bounds_come_from_the_description_or_from_the_range_of_the_data(
    minimum: float | None, maximum: float | None, expected: Bounds
) -> None:
    found = bounds(minimum, maximum, np.array([0.0, 4.0, 8.0]), np.array([3.0, 10.0]))
    assert (found.low, found.bounds_from) == (expected.low, expected.bounds_from)
    assert found.high == (None if expected.high is None else pytest.approx(expected.high))


def test_bounds_of_the_data_cut_off_no_held_out_value() -> None:
    """The target rises with time, and the held-out rows are the latest. Clipped to the training range, an interval
    would hold two thirds of the true values, where nine tenths were counted."""
    random = np.random.default_rng(4)
    truth = np.arange(400.0) + random.normal(0, 10, 400)
    limits = bounds(None, None, truth[:200], truth[200:300])
    assert limits.low is not None
    assert limits.high is not None
    assert ((limits.low <= truth[200:300]) & (truth[200:300] <= limits.high)).all()


def test_interval_that_follows_difficulty_covers_as_stated() -> None:
    random = np.random.default_rng(3)
    covered = []
    for _ in range(300):
        sizes = random.uniform(1, 5, size=200)
        errors = np.abs(random.normal(size=200) * sizes)
        found = interval(errors[:100], sizes[:100], Bounds(None, None, None))
        covered.append(float((errors[100:] <= found.quantile * sizes[100:]).mean()))
    assert 0.9 - 0.01 <= np.mean(covered) <= 0.9 + 1 / 101 + 0.01
