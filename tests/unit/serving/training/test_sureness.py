"""The sureness that registration learns, for all kinds of features and any number of rows."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from predictions.serving.artifacts.description import Target
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.opening import read_assessor
from predictions.serving.engines.sureness import Assessor
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.training.sureness import Facts, Learned, learn

MIXED = Signature.model_validate(
    [
        {"kind": "number", "name": "size", "required": False},
        {"kind": "integer", "name": "rooms"},
        {"kind": "choice", "name": "town", "choices": [["x", "X"], ["y", "Y"], ["z", "Z"]], "required": False},
        {"kind": "choice", "name": "code", "choices": [[1, "One"], [2, "Two"]]},
        {"kind": "boolean", "name": "garden", "required": False},
        {"kind": "text", "name": "note", "required": False},
        {"kind": "date", "name": "built", "required": False},
    ]
)


def mixed_rows(count: int, seed: int = 0) -> list[list[Value]]:
    random = np.random.default_rng(seed)
    return [
        [
            None if random.uniform() < 0.1 else float(random.normal(100, 10)),
            int(random.integers(1, 6)),
            None if random.uniform() < 0.1 else str(random.choice(["x", "y"])),
            int(random.integers(1, 3)),
            None if random.uniform() < 0.1 else bool(random.uniform() < 0.5),
            None if random.uniform() < 0.1 else "word " * int(random.integers(1, 5)),
            None if random.uniform() < 0.1 else f"20{int(random.integers(10, 25))}-05-31",
        ]
        for _ in range(count)
    ]


def numbers(values: Any) -> Signature:
    return Signature.model_validate([{"kind": "number", "name": f"f{place}"} for place in range(values.shape[1])])


def opened(learned: Learned) -> Assessor:
    assessor = read_assessor(learned.record, learned.content)
    assert assessor is not None
    return assessor


def outside(learned: Learned, rows: list[list[Value]]) -> list[bool]:
    found: list[bool] = opened(learned).assess(rows).outside.tolist()
    return found


def mixed(training: int = 300, held_out: int = 150) -> Learned:
    truth = np.arange(held_out) % 2.0
    shares = np.column_stack([1 - truth, truth]) * 0.8 + 0.1
    return learn(
        Facts(
            signature=MIXED,
            target=Target(name="t"),
            labels=["a", "b"],
            training=mixed_rows(training),
            held_out=mixed_rows(held_out, 1),
            truth=truth,
            answers=RawPredictions(truth.copy(), shares),
        )
    )


def test_gate_of_mixed_features_lets_usual_rows_in_and_keeps_strange_ones_out() -> None:
    learned = mixed()
    assert np.mean(outside(learned, mixed_rows(500, 2))) <= 0.03
    strange: list[list[Value]] = [
        [1000.0, 3, "x", 1, True, "word ", "2015-01-01"],
        [100.0, 50, "x", 1, True, "word ", "2015-01-01"],
        [1e300, 3, "x", 1, True, "word ", "2015-01-01"],
        [100.0, 3, "x", 1, True, "word " * 200, "2015-01-01"],
        [100.0, 3, "x", 1, True, "word ", "1500-01-01"],
    ]
    assert outside(learned, strange) == [True] * 5


def test_gate_answers_a_row_alone_as_in_company() -> None:
    learned, rows = mixed(), mixed_rows(64, 3)
    rows[5][0], rows[9][1] = 1e9, 400
    assert [outside(learned, [row])[0] for row in rows] == outside(learned, rows)


@pytest.mark.parametrize("training", [0, 1, 2, 7, 120])
@pytest.mark.parametrize("held_out", [0, 1, 3, 30])
def test_learn_never_fails_and_says_what_is_missing(training: int, held_out: int) -> None:
    learned = mixed(training, held_out)
    record = learned.record
    assert (record.sets is None) == (held_out < 20)
    assert (record.gate is None) == (training == 0)
    assert record.notes.keys() >= {part for part in ("sets", "gate", "calibration") if getattr(record, part) is None}
    if training:
        assert len(outside(learned, mixed_rows(5, 4))) == 5


def test_learn_without_probabilities_has_no_sets() -> None:
    truth = np.zeros(50)
    answers = RawPredictions(truth, None)
    facts = Facts(
        MIXED,
        Target(name="t"),
        ["a", "b"],
        "classification",
        mixed_rows(50),
        None,
        None,
        mixed_rows(50),
        truth,
        answers,
    )
    record = learn(facts).record
    assert (record.sets, record.calibration, record.evidence) == (None, None, {})
    assert record.notes["sets"] == "The estimator gives no probabilities."


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("zeros", lambda x, random: np.zeros((1, x.shape[1]))),
        ("tenfold", lambda x, random: x * 10),
        ("noise", lambda x, random: random.normal(x.mean(0), 10 * x.std(0), size=(300, x.shape[1]))),
    ],
)
def test_gate_keeps_out_rows_far_from_all_others(kind: str, rows: Any) -> None:
    random = np.random.default_rng(0)
    x = random.multivariate_normal(np.full(6, 10.0), np.eye(6) + 1, size=400)
    learned = learn(
        Facts(
            numbers(x),
            Target(name="t"),
            ["a"],
            training=x[:200].tolist(),
            held_out=x[200:].tolist(),
            truth=np.zeros(200),
        )
    )
    assert np.mean(outside(learned, rows(x[200:], random).tolist())) >= 0.99
    assert learned.record.gate is not None
    assert learned.record.gate.held_out_outside <= 0.02 * learned.record.gate.held_out


def test_learn_leaves_unusual_rows_to_an_outlier_detector() -> None:
    rows = mixed_rows(150)
    record = learn(Facts(MIXED, Target(name="t"), ["usual", "unusual"], "outliers", rows, held_out=rows)).record
    assert (record.gate, record.sets, record.sha256) == (None, None, None)
    assert record.notes["gate"] == "The estimator itself tells which rows are unusual."


@pytest.mark.parametrize("new", [True, False])
def test_learn_promises_nothing_if_all_held_out_rows_are_repeated(new: bool) -> None:
    rows = mixed_rows(20) * 5
    truth = np.arange(100) % 2.0
    shares = np.column_stack([1 - truth, truth]) * 0.6 + 0.2
    held_out = [mixed_rows(1, 9)[0], *rows[1:]] if new else rows
    answers = RawPredictions(truth, shares)
    target = Target(name="t")
    facts = Facts(MIXED, target, ["a", "b"], "classification", rows, truth, None, held_out, truth, answers)
    record = learn(facts).record
    assert [record.sets is None, record.calibration is None] == [not new, not new]
    assert ("also stands in the training data" in record.notes.get("sets", "")) is not new
    assert outside(learn(facts), rows[:20]) == [False] * 20


def test_learn_names_the_classes_that_are_never_clear() -> None:
    """3 in 100 rows are of the second class, and most answers of that class are wrong."""
    random = np.random.default_rng(1)
    truth = (random.uniform(size=4000) < 0.03).astype(np.float64)
    score = random.normal(size=4000) + 1.6 * truth
    share = 1 / (1 + np.exp(-2 * (score - 0.8)))
    answers = RawPredictions((share > 0.5).astype(np.float64), np.column_stack([1 - share, share]))
    rows = [[float(number)] for number in range(4000)]
    signature = numbers(np.zeros((1, 1)))

    record = learn(
        Facts(signature, Target(name="t"), ["ok", "fraud"], held_out=rows, truth=truth, answers=answers)
    ).record

    assert record.never_clear == [1]
    assert record.class_evidence["clear"][1].of == 0


class CannotBeCloned:
    def fit(self, *_: Any) -> None:
        raise AssertionError


def noisy(rows: int, seed: int = 0) -> tuple[Any, Any]:
    """The error grows with the first feature."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 1, size=(rows, 3))
    return x, x.sum(axis=1) + random.normal(size=rows) * (0.05 + x[:, 0])


def regression(estimator: Any, own: Any, x: Any, y: Any, half: int) -> Learned:
    answers = RawPredictions(estimator.predict(x[half:]).astype(np.float64), None)
    return learn(
        Facts(
            signature=numbers(x),
            target=Target(name="t"),
            labels=[],
            task="regression",
            training=x[:half].tolist(),
            training_truth=y[:half],
            training_data=(x[:half], y[:half]),
            held_out=x[half:].tolist(),
            truth=y[half:],
            answers=answers,
            estimator=own,
        )
    )


@pytest.mark.parametrize("clonable", [True, False])
def test_difficulty_follows_the_errors(clonable: bool) -> None:
    x, y = noisy(1200)
    fitted = LinearRegression().fit(x[:600], y[:600])
    learned = regression(fitted, fitted if clonable else CannotBeCloned(), x, y, 600)
    interval = learned.record.interval
    assert interval is not None
    assert (interval.method, interval.rows) == ("difficulty", 600 if clonable else 300)
    assert interval.mean_width < interval.constant_width
    assert ("difficulty" in learned.record.notes) is not clonable
    sizes = opened(learned).assess([[0.05, 0.5, 0.5], [0.95, 0.5, 0.5]]).difficulty
    assert sizes is not None
    assert sizes[1] > 1.3 * sizes[0]
    evidence = learned.record.evidence["interval"]
    assert 0.86 < evidence.right / evidence.of < 0.94


def test_difficulty_that_is_the_same_everywhere_gives_a_constant_width_and_a_note() -> None:
    x, _ = noisy(400)
    y = x.sum(axis=1) + np.random.default_rng(8).choice([-0.1, 0.1], size=400)
    fitted = LinearRegression().fit(x[:200], y[:200])
    record = regression(fitted, fitted, x, y, 200).record
    assert record.interval is not None
    assert record.interval.method == "constant"
    assert "constant ones" in record.notes["difficulty"]


def test_difficulty_on_diabetes_tells_hard_rows_from_easy_ones() -> None:
    x, y = load_diabetes(return_X_y=True, scaled=False)
    errors, widths, constant = [], [], []
    for seed in range(5):
        x_seen, x_new, y_seen, y_new = train_test_split(x, y, test_size=0.3, random_state=seed)
        fitted = HistGradientBoostingRegressor(max_depth=2, learning_rate=0.05, max_iter=150, random_state=0)
        fitted.fit(x_seen, y_seen)
        both = np.vstack([x_seen, x_new]), np.concatenate([y_seen, y_new])
        learned = regression(fitted, fitted, *both, len(x_seen))
        sizes, interval = opened(learned).assess(x_new.tolist()).difficulty, learned.record.interval
        assert interval is not None
        if sizes is None:
            continue
        order, error = sizes.argsort(), np.abs(fitted.predict(x_new) - y_new)
        errors.append([error[part].mean() for part in np.array_split(order, 3)])
        widths.append(interval.mean_width)
        constant.append(interval.constant_width)
    narrow, _, wide = np.mean(errors, axis=0)
    assert wide >= 1.25 * narrow
    assert np.mean(widths) <= 1.02 * np.mean(constant)
