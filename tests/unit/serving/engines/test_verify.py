from collections.abc import Sequence

import numpy as np
import pytest

from predictions.serving.engines.base import RawPredictions, differences
from predictions.serving.engines.verify import compare_arrangements
from predictions.serving.schema.signature import Value

OUTPUTS = np.array([0.0, 1.0])
SHARES = np.array([[0.9, 0.1], [0.2, 0.8]])
ROWS: list[list[Value]] = [[1.0], [None], [3.0]]
SUMS = RawPredictions(np.array([1.0, 0.0, 3.0]), None)


@pytest.mark.parametrize(
    ("expected", "given", "said"),
    [
        (SHARES, None, "row 1: no probabilities instead of probabilities of 2 classes"),
        (None, SHARES, "row 1: probabilities of 2 classes instead of no probabilities"),
        (SHARES, np.full((2, 3), 1 / 3), "row 1: probabilities of 3 classes instead of probabilities of 2 classes"),
    ],
)
def test_differences_mind_missing_probabilities(
    expected: np.ndarray | None, given: np.ndarray | None, said: str
) -> None:
    found = differences(RawPredictions(OUTPUTS, expected), RawPredictions(OUTPUTS, given))
    assert [str(difference) for difference in found] == [said]


def test_differences_name_each_row_once() -> None:
    found = differences(RawPredictions(OUTPUTS, SHARES), RawPredictions(np.array([0.0, 0.0]), SHARES[::-1]))
    assert [difference.row for difference in found] == [0, 1]


def test_nan_differs_from_every_number() -> None:
    assert differences(RawPredictions(OUTPUTS, None), RawPredictions(np.array([np.nan, 1.0]), None))


class Right:
    """Predicts the first value of each row, and records the rows of each call."""

    def __init__(self) -> None:
        self.asked: list[Sequence[Sequence[Value]]] = []

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        self.asked.append(rows)
        return RawPredictions(np.array([row[0] or 0.0 for row in rows], dtype=np.float64), None)


class Engine:
    """Predicts the first value of each row, or 1 more where `condition` holds for the rows of the call."""

    def __init__(self, condition: str) -> None:
        self.condition = condition

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        numbers = [row[0] for row in rows]
        wrong = {
            "never": False,
            "alone": len(rows) == 1,
            "together": len(rows) > 1,
            "third in company": np.array([len(rows) > 1 and number == ROWS_ORDER[2] for number in numbers]),
            "out of order": len(rows) > 1 and numbers != sorted(numbers, key=ROWS_ORDER.index),
            "beside missing": len(rows) > 1 and None in numbers,
            "beside complete": len(rows) > 1 and None not in numbers,
        }
        return RawPredictions(Right().predict(rows).outputs + wrong[self.condition], None)


ROWS_ORDER = [row[0] for row in ROWS]


@pytest.mark.parametrize(
    ("condition", "arrangements"),
    [
        ("never", set()),
        ("alone", {"alone"}),
        ("together", {"together", "shuffled", "beside complete rows only"}),
        ("out of order", {"shuffled"}),
        ("beside missing", {"together", "shuffled"}),
        ("beside complete", {"beside complete rows only"}),
    ],
)
def test_compare_arrangements_finds_each_dependence(condition: str, arrangements: set[str]) -> None:
    found = compare_arrangements(Engine(condition), ROWS, SUMS, 1e-12)
    assert {how for how, _ in found} == arrangements


def test_differences_in_company_have_the_positions_of_the_rows() -> None:
    found = compare_arrangements(Engine("third in company"), ROWS, SUMS, 1e-12)
    assert {(how, difference.row) for how, difference in found} == {
        ("together", 2),
        ("shuffled", 2),
        ("beside complete rows only", 2),
    }


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        ([[1.0], [2.0], [3.0]], [1, 1, 1, 3, 3]),
        ([[None], [None], [None]], [1, 1, 1, 3, 3]),
        ([[1.0], [None], [None]], [1, 1, 1, 3, 3, 1]),
    ],
    ids=["all complete", "none complete", "one complete"],
)
def test_complete_rows_are_asked_by_themselves_beside_others(rows: list[list[Value]], sizes: list[int]) -> None:
    engine = Right()
    compare_arrangements(engine, rows, engine.predict(rows), 1e-12)
    assert [len(asked) for asked in engine.asked[1:]] == sizes


def test_rows_alone_are_spread_from_the_first_to_the_last() -> None:
    engine, rows = Right(), [[float(number)] for number in range(9)]
    compare_arrangements(engine, rows, engine.predict(rows), 1e-12, batching=False, alone=3)
    assert engine.asked[1:] == [[[0.0]], [[4.0]], [[8.0]]]


def test_compare_arrangements_without_batching_asks_rows_alone() -> None:
    assert compare_arrangements(Engine("together"), ROWS, SUMS, 1e-12, batching=False) == []
