"""When the answers of an estimator decide on the names of its classes, and when they do not."""

from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.importing.class_names import Answers, names_by_answers

NAMES = ["no", "yes"]


class Fixed:
    """Gives these answers to all rows."""

    def __init__(self, given: list[int]) -> None:
        self.given = np.array(given)

    def predict(self, x: Any) -> Any:
        return self.given[x[:, 0].astype(int)]


def order(counts: dict[tuple[str, int], int]) -> list[str] | None:
    """The order of the names by so many rows of each true name and answer."""
    rows = [pair for pair, count in counts.items() for _ in range(count)]
    x = np.arange(len(rows)).reshape(-1, 1)
    answers = Answers(Fixed([answer for _, answer in rows]), x)
    return names_by_answers([0, 1], NAMES, answers, 0, pd.Series([name for name, _ in rows]))


def test_clearly_exchanged_answers_exchange_the_names() -> None:
    assert order({("no", 1): 60, ("no", 0): 15, ("yes", 0): 60, ("yes", 1): 15}) == ["yes", "no"]


def test_answers_that_fit_the_other_order_by_chance_exchange_nothing() -> None:
    assert order({("no", 1): 40, ("no", 0): 35, ("yes", 0): 40, ("yes", 1): 35}) is None


def test_false_alarms_of_a_rare_class_exchange_nothing() -> None:
    """Exchanged, the names would be right for two thirds of all rows, and now they are for one third."""
    assert order({("no", 1): 1974, ("no", 0): 846, ("yes", 1): 180}) is None


def test_answers_that_are_no_classes_exchange_nothing() -> None:
    assert order({("no", 7): 50, ("yes", 0): 50}) is None
