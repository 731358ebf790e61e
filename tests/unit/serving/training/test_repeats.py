"""Held-out rows that the estimator was trained on show nothing of new rows."""

from typing import Any

import numpy as np
import pytest

from predictions.serving.training.repeats import KnownRows, all_repeated, remarks

TRAINING = KnownRows([[float(number), "a"] for number in range(100)], np.arange(100) % 2.0)


def known(*rows: list[Any], truth: list[Any]) -> KnownRows:
    return KnownRows(list(rows), np.array(truth))


@pytest.mark.parametrize(
    ("held_out", "expected"),
    [
        (known([1.0, "a"], [2.0, "a"], truth=[1.0, 0.0]), True),
        (known([1.0, "a"], [2.0, "a"], truth=[1.0, 1.0]), False),
        (known([1.0, "a"], [2.0, "b"], truth=[1.0, 0.0]), False),
        (known(truth=[]), False),
        (KnownRows([[1.0, "a"]], None), False),
        (None, False),
    ],
)
def test_all_repeated_needs_each_row_with_its_answer(held_out: KnownRows | None, expected: bool) -> None:
    assert all_repeated(TRAINING, held_out) is expected


def test_rows_of_several_targets_are_compared_with_all_answers() -> None:
    training = KnownRows([[1.0], [2.0]], np.array([[0.0, 5.0], [1.0, 6.0]]))
    assert all_repeated(training, known([2.0], truth=[[1.0, 6.0]]))
    assert not all_repeated(training, known([2.0], truth=[[1.0, 5.0]]))


def test_remarks_count_the_repeated_rows_from_a_tenth_on() -> None:
    new = [[-1.0 - number, "a"] for number in range(9)]
    [said] = remarks(TRAINING, known([1.0, "a"], *new, truth=[1.0] * 10))
    assert said.startswith("1 of 10 held-out rows also stand in the training data with the same answer")
    assert remarks(TRAINING, known([1.0, "a"], *new, [-20.0, "a"], truth=[1.0] * 11)) == []
    [all_of_them] = remarks(TRAINING, TRAINING)
    assert "how good the version is was not measured" in all_of_them
    assert remarks(None, TRAINING) == []
