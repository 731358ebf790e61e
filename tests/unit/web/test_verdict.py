"""The verdict of a comparison says no more than its numbers do."""

import math
import uuid
from typing import Any

from predictions.comparison.agreement import Agreement, Pair, agreements
from predictions.comparison.statistics import is_one_sided
from predictions.web.verdict import Names, better, quicker, same

NAMES = Names("version 1", "version 2")


def compared(*cases: tuple[str, str, str | None]) -> Agreement:
    """The agreement of answers with classes. Each case is (before, after, truth)."""
    return agreements([pair(said(before), said(after), truth) for before, after, truth in cases])[0]


def measured(*cases: tuple[float, float, float]) -> Agreement:
    return agreements([pair(number(before), number(after), truth) for before, after, truth in cases])[0]


def pair(before: dict[str, Any], after: dict[str, Any], truth: Any) -> Pair:
    return Pair(uuid.uuid4(), {}, before, after, truth=truth)


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
    assert same(found) == "Too few answers to judge: 29 of 29 were the same."
    assert "the truth is known for 29 cases, and 30 are needed" in better(found, NAMES)


def test_agreement_is_a_range() -> None:
    assert same(compared(*[("a", "a", None)] * 90, *[("a", "b", None)] * 10)) == (
        "In about 83 to 94 of 100 such cases the answers are the same, by 100 that were compared."
    )
    assert same(compared(*[("a", "a", None)] * 100)).endswith("Of all such cases at least about 96 in 100 are.")


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


def test_verdict_by_chance_is_rarer_than_one_in_twenty() -> None:
    """Exact: the probability of a verdict where each case is the toss of a coin."""
    for of in range(1, 201):
        chance = sum(math.comb(of, one) for one in range(of + 1) if is_one_sided(one, of - one)) / 2**of
        assert chance <= 0.05


def test_better_version_has_the_smaller_error() -> None:
    rows = [(10.0 + place % 3, 10.5, 10.4) for place in range(40)]
    assert better(measured(*rows), NAMES).startswith("Version 2 is probably the better one")
    alike = [(10.0 + place % 2, 11.0 - place % 2, 10.5) for place in range(40)]
    assert better(measured(*alike), NAMES).startswith("Neither is known to be better")


def test_quicker_version_needs_enough_times() -> None:
    assert quicker([(1.0, 2.0)] * 29, NAMES) == "Too few rows were timed to say which one is quicker: 29."
    assert quicker([(1.0, 2.0)] * 30, NAMES) == (
        "A row alone takes version 2 2 to 2 times as long as version 1, by 30 rows."
    )
    assert quicker([(1.0, 0.5 + place % 3 / 2) for place in range(60)], NAMES).startswith("Neither is known")
