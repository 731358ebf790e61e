"""The verdict of a comparison says no more than its numbers do."""

import math
import uuid
from random import Random
from typing import Any

import pytest

from predictions.comparison.agreement import Agreement, Count, Pair, agreements
from predictions.comparison.statistics import is_one_sided, median_of
from predictions.comparison.truths import Told, latest
from predictions.models import Feedback
from predictions.web.verdict import Names, better, quicker, same
from predictions.web.version_comparison import TargetPresenter

NAMES = Names("version 1", "version 2")


def compared(*cases: tuple[str, str, str | None]) -> Agreement:
    """The agreement of answers with classes. Each case is (before, after, truth)."""
    return agreements([pair(said(before), said(after), truth) for before, after, truth in cases])[0]


def measured(*cases: tuple[float, float, float]) -> Agreement:
    return agreements([pair(number(before), number(after), truth) for before, after, truth in cases])[0]


def pair(before: dict[str, Any], after: dict[str, Any], truth: Any) -> Pair:
    return Pair(uuid.uuid4(), {}, before, after, told=Told({} if truth is None else {"": truth}))


def answered_by_people(classes: str, *cases: tuple[str, str, str]) -> Agreement:
    """The agreement where a person who knows the truth says Yes or No to each first answer, and nothing more."""
    pairs = []
    for before, after, truth in cases:
        told = latest([Feedback(was_right=before == truth)], said(before), classes)
        assert told is not None
        pairs.append(Pair(uuid.uuid4(), {}, said(before), said(after), told=told))
    return agreements(pairs)[0]


def said(label: str) -> dict[str, Any]:
    return {"kind": "classification", "label": label}


def number(value: float) -> dict[str, Any]:
    return {"kind": "regression", "value": value, "interval": None}


def test_targets_have_the_given_order() -> None:
    """PostgreSQL stores the outputs in an order of its own."""
    names = [f"target {number}" for number in range(12)]
    before = {"kind": "multi", "outputs": {name: said("a") for name in sorted(names)}}
    after = {"kind": "multi", "outputs": {name: said("b") for name in reversed(names)}}
    found = agreements([pair(before, after, None)], names)
    assert [one.name for one in found] == names


def test_few_answers_are_counted_and_not_judged() -> None:
    found = compared(*[("a", "a", "a")] * 29)
    assert same(found, NAMES) == "Too few answers to judge: 29 of 29 were the same."
    assert "the truth is known for 29 cases, and 30 are needed" in better(found, NAMES)


def test_agreement_is_a_range() -> None:
    assert same(compared(*[("a", "a", None)] * 90, *[("a", "b", None)] * 10), NAMES) == (
        "In about 83 to 94 of 100 such cases the answers are the same, by 100 that were compared."
    )
    assert same(compared(*[("a", "a", None)] * 100), NAMES).endswith("Of all such cases at least about 96 in 100 are.")


def test_numbers_within_the_interval_are_not_called_the_same() -> None:
    def within(count: int, outside: int = 0) -> Agreement:
        first = {"kind": "regression", "value": 100.0, "interval": [50.0, 150.0]}
        values = [120.0] * count + [170.0] * outside
        return agreements([pair(first, number(value), None) for value in values])[0]

    assert same(within(29), NAMES) == (
        "Too few answers to judge: 29 of 29 of version 2 lay within the interval of version 1, or were the same."
    )
    assert same(within(60), NAMES) == (
        "All 60 answers of version 2 lay within the interval of version 1, or were the same. Of all such cases at least"
        " about 94 in 100 do."
    )
    assert same(within(90, 10), NAMES) == (
        "In about 83 to 94 of 100 such cases the answer of version 2 lies within the interval of version 1, or is the"
        " same, by 100 that were compared."
    )


def test_without_truth_no_version_is_better() -> None:
    assert better(compared(("a", "b", None)), NAMES) == (
        "Which one is better is not known: nobody has said what was true."
    )


def test_better_version_is_right_where_the_other_is_wrong() -> None:
    both = [("a", "a", "a")] * 30
    assert better(compared(*both, *[("a", "b", "b")] * 9), NAMES).startswith("Neither is known to be better")
    assert better(compared(*both, *[("a", "b", "b")] * 12), NAMES).startswith("Version 2 is probably the better one")
    assert better(compared(*both, *[("a", "b", "a")] * 12), NAMES).startswith("Version 1 is probably the better one")
    mixed = compared(*both, *[("a", "b", "b")] * 7, *[("a", "b", "a")] * 6)
    assert better(mixed, NAMES).startswith("Neither is known to be better")


def test_yes_and_no_find_the_better_one_of_two_versions() -> None:
    """Of two classes, No says which one was true."""
    cases = [("a", "a", "a")] * 40 + [("a", "b", "a")] * 12 + [("a", "b", "b")] * 60
    found = answered_by_people("ab", *cases)
    assert better(found, NAMES) == (
        "Version 2 is probably the better one for cases like these: where only one of the two was right, version 2 was"
        " so in 60 of 72."
    )
    assert (found.right("before"), found.right("after")) == (Count(52, 52), Count(100, 100))


def test_no_without_the_true_class_is_an_error_of_all_that_gave_the_same_class() -> None:
    found = answered_by_people("abc", *[("a", "a", "a")] * 3, *[("a", "a", "b")] * 4, *[("a", "b", "c")] * 5)
    assert (found.right("before"), found.right("after")) == (Count(3, 3), Count(3, 8))
    assert (found.right_alone("before"), found.right_alone("after")) == (Count(0, 0), Count(0, 5))
    assert (len(found.judged), len(found.known), found.undecided) == (12, 3, 5)


def test_verdict_that_unknown_truths_could_turn_is_not_given() -> None:
    """By the known truths alone the first version would be better: it is right wherever people say Yes."""
    cases = [("a", "a", "a")] * 40 + [("a", "b", "a")] * 12
    assert better(answered_by_people("abc", *cases), NAMES).startswith("Version 1 is probably the better one")
    assert better(answered_by_people("abc", *cases, *[("a", "b", "b")] * 60), NAMES) == (
        "Neither is known to be better: where only one of the two was right, version 2 was so in 0 of 12. In 60 more"
        " cases people said that version 1 was wrong, and nobody said what was true. The true answers could change this"
        " verdict."
    )


def test_verdict_that_unknown_truths_cannot_turn_is_given() -> None:
    cases = [("a", "a", "a")] * 40 + [("a", "b", "a")] * 40 + [("a", "b", "b")]
    assert better(answered_by_people("abc", *cases), NAMES) == (
        "Version 1 is probably the better one for cases like these: where only one of the two was right, version 2 was"
        " so in 0 of 40. In 1 more case people said that version 1 was wrong, and nobody said what was true. No true"
        " answer could change this verdict."
    )


def test_no_to_several_targets_leaves_each_of_them_open() -> None:
    before = {"kind": "multi", "outputs": {"x": said("a"), "y": said("a")}}
    after = {"kind": "multi", "outputs": {"x": said("b"), "y": said("a")}}
    told = latest([Feedback(was_right=False)], before, ())
    assert told is not None
    found, other = agreements([Pair(uuid.uuid4(), {}, before, after, told=told)], ["x", "y"])
    assert (found.right_alone("before"), found.right_alone("after")) == (Count(0, 1), Count(0, 1))
    assert (other.right_alone("before"), other.right_alone("after")) == (Count(0, 0), Count(0, 0))
    assert (other.right("before"), other.right("after")) == (Count(0, 1), Count(0, 1))


# --- What feedback tells ----------------------------------------------------------------------------------------------
YES, NO = {"was_right": True}, {"was_right": False}


@pytest.mark.parametrize(
    ("newest_first", "classes", "truths", "was_right"),
    [
        ([YES], "abc", {"": "a"}, True),
        ([NO], "abc", {}, False),
        ([NO], "ab", {"": "b"}, False),
        ([{**NO, "actual": "c"}], "abc", {"": "c"}, False),
        ([{"actual": "a"}], "abc", {"": "a"}, True),
        ([{"comment": "hm"}, YES], "abc", {"": "a"}, True),
        ([NO, YES], "abc", {}, False),
        ([NO, {"actual": "a"}], "abc", {}, False),
        ([NO, {"actual": "c"}], "abc", {"": "c"}, None),
        ([YES, {"actual": "c"}], "abc", {"": "a"}, True),
        ([{**YES, "actual": "c"}, NO], "abc", {}, False),
        ([{**NO, "actual": "a"}, YES], "abc", {"": "a"}, True),
    ],
    ids=repr,
)
def test_latest_feedback_on_a_class_counts_with_what_agrees(
    newest_first: list[dict[str, Any]], classes: str, truths: dict[str, str], was_right: bool | None
) -> None:
    told = latest([Feedback(**one) for one in newest_first], said("a"), classes)
    assert told is not None
    assert (told.truths, told.was_right) == (truths, was_right)


def test_feedback_that_contradicts_itself_tells_nothing() -> None:
    """Earlier releases have stored such feedback."""
    for contradiction in ({**YES, "actual": "b"}, {**NO, "actual": "a"}):
        assert latest([Feedback(**contradiction)], said("a"), "ab") is None


def test_feedback_on_a_number_tells_the_number_only() -> None:
    assert latest([Feedback(**YES)], number(3.0), ()) is None
    told = latest([Feedback(**NO), Feedback(actual=4.0)], number(3.0), ())
    assert told is not None
    assert told.truths == {"": 4.0}


# --- Tests and intervals ----------------------------------------------------------------------------------------------
def test_verdict_by_chance_is_rarer_than_one_in_twenty() -> None:
    """Exact: the probability of a verdict where each case is the toss of a coin."""
    for of in range(1, 201):
        chance = sum(math.comb(of, one) for one in range(of + 1) if is_one_sided(one, of - one)) / 2**of
        assert chance <= 0.05


def test_better_version_has_the_smaller_error() -> None:
    rows = [(10.0 + place % 3, 10.5, 10.4) for place in range(40)]
    assert better(measured(*rows), NAMES).startswith("Version 2 is probably the better one")
    assert better(measured(*rows), NAMES) == (
        "Version 2 is probably the better one for cases like these: where one of the two was closer to the truth,"
        " version 2 was so in 40 of 40. Its mean error is smaller by 0.755, by 40 cases whose truth is known."
    )
    alike = [(10.0 + place % 2, 11.0 - place % 2, 10.5) for place in range(40)]
    assert better(measured(*alike), NAMES).startswith("Neither is known to be better")


def test_version_that_is_closer_more_often_with_the_larger_mean_error_is_not_better() -> None:
    rows = [(11.0, 10.5, 10.0)] * 40 + [(11.0, 90.0, 10.0)] * 4
    assert better(measured(*rows), NAMES) == "Neither is known to be better, by 44 cases whose truth is known."


def test_errors_of_numbers_are_medians_with_an_interval_beside_their_means() -> None:
    lines = TargetPresenter(measured(*[(12.0, 11.0, 10.0)] * 9, (60.0, 11.0, 10.0)), [], NAMES).accuracy
    assert [(line["name"], line["text"]) for line in lines] == [
        ("version 1", "2 (2 to 50, by 10); mean 6.8"),
        ("version 2", "1 (1 to 1, by 10); mean 1"),
    ]


def test_verdict_on_skewed_errors_is_rarely_wrong() -> None:
    """Both versions have errors of the same long-tailed distribution, so each verdict is a false one."""
    random = Random(7)
    said_better = 0
    for _ in range(400):
        rows = [(random.lognormvariate(0, 1.5), random.lognormvariate(0, 1.5), 0.0) for _ in range(30)]
        said_better += "probably" in better(measured(*rows), NAMES)
    assert said_better / 400 <= 0.05


def test_interval_of_a_median_holds_in_19_of_20_samples() -> None:
    """Exact, for any continuous distribution: the number of values below the true median is binomial."""
    for of in range(9, 201):
        found = median_of(range(of))
        assert found.low is not None
        assert found.high is not None
        held = sum(math.comb(of, below) for below in range(int(found.low) + 1, int(found.high) + 1)) / 2**of
        assert held >= 0.95


def test_quicker_version_needs_enough_times() -> None:
    assert quicker([(1.0, 2.0)] * 29, NAMES) == "Too few rows were timed to say which one is quicker: 29."
    assert quicker([(1.0, 2.0)] * 30, NAMES) == (
        "A row alone takes version 2 2 to 2 times as long as version 1, by 30 rows."
    )
    assert quicker([(1.0, 0.5 + place % 3 / 2) for place in range(60)], NAMES).startswith("Neither is known")
