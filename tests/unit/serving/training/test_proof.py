"""The comparison of the served answers with the estimator's own, and its messages."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.signature import Signature
from predictions.serving.training.input_types import clean_rows, read_schema
from predictions.serving.training.proof import (
    checked,
    compare_with_estimator,
    estimator_answers,
    is_independent,
    row_count,
    said,
)

NUMBERS = Signature.model_validate([{"kind": "number", "name": name, "minimum": 0, "maximum": 9999} for name in "ab"])
X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
SECOND_HIGHER = X + np.array([[0, 0], [0, 1], [0, 0]])
Answer = Callable[[Any], Any]


class By:
    """An estimator whose `predict` is a function of the table."""

    def __init__(self, answer: Answer) -> None:
        self.predict = answer


class WithShares:
    """A classifier of two classes. `share` is the probability of the second one."""

    def __init__(self, share: Answer) -> None:
        self.share = share

    def predict(self, table: Any) -> Any:
        return np.where(self.share(table) > 0.5, "high", "low")

    def predict_proba(self, table: Any) -> Any:
        return np.column_stack([1 - self.share(table), self.share(table)])


def engine(answer: Answer, x: Any = X, classes: tuple[str, ...] = ()) -> SklearnEngine:
    return SklearnEngine(By(answer), NUMBERS, list(classes), read_schema("training", x, NUMBERS))


def classifier(share: Answer, x: Any = X) -> SklearnEngine:
    return SklearnEngine(WithShares(share), NUMBERS, ["low", "high"], read_schema("training", x, NUMBERS))


def total(table: Any) -> Any:
    return table.sum(axis=1)


def fails_from(bound: float) -> Answer:
    def answer(table: Any) -> Any:
        if (table[:, 0] >= bound).any():
            raise ValueError("too wide,\n  by far.")
        return total(table)

    return answer


def throws_dice() -> Answer:
    random = np.random.default_rng(0)
    return lambda table: random.random(len(table))


# --- The estimator's own answers --------------------------------------------------------------------------------------
def test_answers_are_those_to_the_raw_data() -> None:
    assert estimator_answers(engine(total), "training", X).outputs.tolist() == [3, 7, 11]


def test_row_on_which_the_estimator_fails_is_named_with_its_error() -> None:
    with pytest.raises(CannotRegister) as caught:
        estimator_answers(engine(fails_from(3)), "held-out", X)

    assert str(caught.value) == "The estimator fails on row 2 of the held-out data: ValueError: too wide, by far."


def test_row_of_a_data_frame_on_which_the_estimator_fails_is_named() -> None:
    x = pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(CannotRegister, match=r"^The estimator fails on row 2 of the held-out data: "):
        estimator_answers(engine(lambda table: fails_from(3)(table.to_numpy()), x), "held-out", x)


def test_estimator_that_fails_on_no_single_row_fails_on_the_data() -> None:
    def answer(table: Any) -> Any:
        if len(table) > 1:
            raise ValueError
        return total(table)

    with pytest.raises(CannotRegister, match=r"^The estimator fails on the training data: ValueError\.$"):
        estimator_answers(engine(answer), "training", X)


@pytest.mark.parametrize(("failing", "place"), [(999, "row 1000 of the"), (1000, "the")])
def test_failing_row_is_sought_among_the_first_thousand(failing: int, place: str) -> None:
    x = np.column_stack([np.arange(1001.0), np.zeros(1001)])

    with pytest.raises(CannotRegister, match=f"^The estimator fails on {place} training data: "):
        estimator_answers(engine(fails_from(failing)), "training", x)


def test_answers_in_another_number_than_rows_are_refused_by_their_shape() -> None:
    shape = r"^Of the training data: the estimator answers in shape \(4,\) where \(3,\) is due\. "
    with pytest.raises(CannotRegister, match=shape):
        estimator_answers(engine(lambda table: np.zeros(len(table) + 1)), "training", X)


# --- Served and own answers -------------------------------------------------------------------------------------------
def compare(answer: Answer, built: Any, classes: tuple[str, ...] = ()) -> None:
    """Compare the answers to X with those to `built`, as if serving built the rows of `built` from X."""
    own = engine(answer, classes=classes)
    rows = clean_rows("training", built, NUMBERS)
    compare_with_estimator(own, "training", X, rows, estimator_answers(own, "training", X))


def test_same_answers_pass() -> None:
    compare(total, X)


def test_other_answer_names_row_column_and_both_answers() -> None:
    built = X + np.array([[0, 0], [0, 1], [0, 1]])

    with pytest.raises(CannotRegister) as caught:
        compare(total, built)

    assert str(caught.value) == (
        "Row 2 of the training data, column b (4.0 became 5.0): the estimator answers 7.0, and 8.0 when the row is "
        "built as for serving (2 of 3 rows differ). Give each column one type, and write its missing values in one "
        "way, in training and held-out data."
    )


def test_other_answer_to_a_sparse_row_names_its_column() -> None:
    own = engine(lambda table: np.asarray(table.sum(axis=1)).ravel(), csr_matrix(X))
    raw = estimator_answers(own, "training", csr_matrix(X))
    built = clean_rows("training", csr_matrix(SECOND_HIGHER), NUMBERS)

    with pytest.raises(CannotRegister, match=r"^Row 2 of the training data, column b \(4\.0 became 5\.0\): "):
        compare_with_estimator(own, "training", csr_matrix(X), built, raw)


def test_other_probabilities_are_named() -> None:
    own = classifier(lambda table: table[:, 1] / 10)
    raw = estimator_answers(own, "training", X)
    built = clean_rows("training", SECOND_HIGHER, NUMBERS)

    sentence = r"the estimator answers probabilities \[0\.6, 0\.4\], and probabilities \[0\.5, 0\.5\] when"
    with pytest.raises(CannotRegister, match=sentence):
        compare_with_estimator(own, "training", X, built, raw)


def test_other_answer_to_equal_values_names_no_column() -> None:
    calls = []

    def answer(table: Any) -> Any:
        calls.append(table)
        return total(table) + (len(calls) == 2)  # the call with the built rows

    with pytest.raises(CannotRegister, match=r"^Row 1 of the training data: the estimator answers 3\.0, and 4\.0 when"):
        compare(answer, X)


def test_other_class_is_named_by_its_label() -> None:
    with pytest.raises(CannotRegister, match="the estimator answers 'low', and 'high' when"):
        compare(lambda table: np.where(table[:, 1] > 4, "high", "low"), SECOND_HIGHER, ("low", "high"))


def test_class_that_the_estimator_was_not_fitted_with_is_none_of_its_classes() -> None:
    with pytest.raises(CannotRegister, match="answers 'low', and a class that it was not fitted with when"):
        compare(lambda table: np.where(table[:, 1] > 4, "new", "low"), SECOND_HIGHER, ("low", "high"))


def test_estimator_that_throws_dice_is_refused_for_that() -> None:
    sentence = r"^The estimator gives two answers to the same row \(0\.\d+, then 0\.\d+\): fix its random_state\.$"
    with pytest.raises(CannotRegister, match=sentence):
        compare(throws_dice(), X)


def test_estimator_that_fails_when_it_is_asked_again_fails_on_that_data() -> None:
    calls = []

    def answer(table: Any) -> Any:
        calls.append(table)
        if len(calls) > 2:
            raise ValueError
        return total(table) + (len(calls) == 2)

    with pytest.raises(CannotRegister, match=r"^The estimator fails on row 1 of the training data: ValueError\.$"):
        compare(answer, X)


def test_estimator_that_fails_on_what_is_built_is_refused_for_that() -> None:
    sentence = (
        "The estimator answers the training data as train() gave it, and fails when it is built as for serving: "
        "ValueError: too wide, by far. Give each column one type."
    )
    with pytest.raises(CannotRegister, match=f"^{re.escape(sentence)}$"):
        compare(fails_from(9), X + 8)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_infinite_answer_differs_and_is_said() -> None:
    with pytest.raises(CannotRegister, match=r"two answers to the same row \(inf, then inf\)"):
        compare(lambda table: total(table) / np.array([1, 0, 1]), X)


# --- Answers that cannot be served ------------------------------------------------------------------------------------
def refused(outputs: list[float], shares: list[list[float]] | None = None, **kind: Any) -> str:
    about = SklearnEngine(
        By(total), NUMBERS, kind.get("classes", []), read_schema("training", X, NUMBERS), **targets(kind)
    )
    answers = RawPredictions(np.array(outputs), None if shares is None else np.array(shares))
    with pytest.raises(CannotRegister) as caught:
        checked(about, answers, "held-out")
    return str(caught.value)


def targets(kind: dict[str, Any]) -> dict[str, Any]:
    return {"targets": kind["targets"]} if "targets" in kind else {}


NO_CLASS = (
    "The estimator answers row 2 of the held-out data with a class that it does not name: its predict() must give one "
    "of its classes_."
)


def test_answer_that_is_no_class_is_refused_with_and_without_probabilities() -> None:
    assert refused([0, -1], classes=["a", "b"]) == NO_CLASS
    assert refused([0, -1], [[1, 0], [1, 0]], classes=["a", "b"]) == NO_CLASS
    assert refused([[0, 0], [1, -1]], targets=[["a", "b"], ["c"]]) == NO_CLASS  # type: ignore[list-item]


def test_negative_numbers_of_regressions_are_answers() -> None:
    answers = RawPredictions(np.array([-1.0, -2.0, 3.0]), None)
    assert checked(engine(total), answers, "training") is answers
    several = SklearnEngine(By(total), NUMBERS, [], read_schema("training", X, NUMBERS), targets=[[], []])
    answers = RawPredictions(np.array([[-1.0, -2.0]]), None)
    assert checked(several, answers, "training") is answers


@pytest.mark.parametrize("share", [2.87, -0.2, 0.3])
def test_shares_that_are_no_probabilities_are_refused(share: float) -> None:
    given = [[0.5, 0.5], [0.25, 0.75], [1 - share if share != 0.3 else 0.4, share]]
    written = ", ".join(f"{one:.4g}" for one in given[2])
    assert refused([0, 1, 1], given, classes=["a", "b"]) == (
        f"The probabilities of row 3 of the held-out data are {written}: each must be between 0 and 1, and their "
        f"sum 1. Fit with an objective that gives such probabilities, or use CalibratedClassifierCV."
    )


def test_shares_of_each_target_are_checked_alone() -> None:
    two = {"targets": [["a", "b"], ["c", "d"]]}
    said_of = refused([[0, 0], [0, 1]], [[1, 0, 0.5, 0.5], [1, 0, 0.5, 0.9]], **two)  # type: ignore[list-item]
    assert said_of.startswith("The probabilities of row 2 of the held-out data are 0.5, 0.9: ")


def test_probability_that_is_not_finite_names_its_row() -> None:
    sentence = "The estimator's answer to row 2 of the held-out data is not a finite number."
    assert refused([0, 1], [[1, 0], [np.nan, np.nan]], classes=["a", "b"]) == sentence


# --- Alone and in company ---------------------------------------------------------------------------------------------
MANY = np.column_stack([np.arange(200.0), np.ones(200)])


def independent(answer: Answer) -> bool:
    rows = clean_rows("training", MANY, NUMBERS)
    return is_independent(engine(answer, MANY), rows[:2], rows)


def test_answer_by_the_row_alone_is_independent() -> None:
    assert independent(total)


def test_classifier_that_answers_by_the_row_alone_is_independent() -> None:
    rows = clean_rows("training", MANY, NUMBERS)
    assert is_independent(classifier(lambda table: table[:, 0] / 200, MANY), rows[:2], rows)


@pytest.mark.parametrize(
    "answer",
    [
        lambda table: total(table) - total(table).mean(),
        lambda table: total(table) + (len(table) > 1) * (table[:, 0] == 199),
        lambda table: total(table) + (len(table) > 100),
        lambda table: total(table) + (len(table) == 66),
        lambda table: np.zeros(len(table) + (len(table) > 1)),
    ],
    ids=[
        "the mean of the call",
        "company of the last row",
        "many rows",
        "rows that are compared",
        "a failure in company",
    ],
)
def test_answer_that_depends_on_the_company_is_not_independent(answer: Answer) -> None:
    assert not independent(answer)


def test_row_alone_that_gets_two_answers_is_refused() -> None:
    with pytest.raises(CannotRegister, match="two answers to the same row"):
        independent(throws_dice())


# --- Words and counts -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("x", [X, X.tolist(), csr_matrix(X)], ids=["array", "list", "sparse"])
def test_rows_of_each_kind_of_table_are_counted(x: Any) -> None:
    assert row_count(x) == 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("two\nlines  of it. "), "ValueError: two lines of it"),
        (ValueError("see BOX"), "ValueError: see BOX"),
        (ValueError(" : "), "ValueError"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_error_is_said_on_one_line(error: Exception, words: str) -> None:
    assert said(error) == words


def test_long_error_is_cut() -> None:
    words = said(OSError("a " * 200))

    assert len(words) == 239  # one more word would be 241
    assert words.startswith("OSError: a a")
    assert words.endswith("a…")
