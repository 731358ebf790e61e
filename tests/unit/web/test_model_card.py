"""The evidence on a model card: each number is that of version.json, and each share stands with its count."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.models import ModelVersion, RegisteredModel
from predictions.web.formatting import share_text, wilson_interval
from predictions.web.model_card import CardPresenter

SIGNATURE: list[dict[str, Any]] = [
    {"kind": "number", "name": "width", "label": "Width", "unit": "mm"},
    {"kind": "choice", "name": "colour", "label": "Colour", "choices": [["r", "Red"], ["g", "Green"]]},
]
MEASURED = {"covered": 30, "of": 32, "calibrated_on": 32, "low": 25, "high": 32}


def card(task: str = "classification", **facts: Any) -> CardPresenter:
    manifest = {
        "task": task,
        "signature": SIGNATURE,
        "metrics": {"accuracy": 0.95},
        "labels": ["ripe", "not ripe"] if task == "classification" else [],
        "rows": {"training": 100, "held_out": 40},
        "profile": {"features": {}},
        "target": {"name": "ripeness", "unit": None},
        **facts,
    }
    model = RegisteredModel(pk=1, name="fruit", title="Fruit")
    return CardPresenter(ModelVersion(pk=1, registered_model=model, number=1, manifest=manifest))


@given(st.integers(0, 500), st.integers(0, 500))
def test_share_stands_with_its_count_and_an_interval_that_holds_it(right: int, wrong: int) -> None:
    text = share_text(right, right + wrong)

    if not right + wrong:
        assert text == "0 of 0"
        return
    found = re.fullmatch(r"(\d+) of (\d+) \((\d+)–(\d+) %\)", text)  # noqa: RUF001 - the en dash of a range
    assert found
    shown = [int(number) for number in found.groups()]
    low, high = wilson_interval(right, right + wrong)
    assert shown[:2] == [right, right + wrong]
    assert abs(shown[2] - low * 100) <= 0.5
    assert abs(shown[3] - high * 100) <= 0.5
    assert shown[2] - 0.5 <= right / (right + wrong) * 100 <= shown[3] + 0.5


def test_no_share_of_few_cases_is_certain() -> None:
    assert share_text(45, 45) == "45 of 45 (92–100 %)"  # noqa: RUF001


def test_confusion_counts_each_true_class() -> None:
    lines = card(figures={"confusion": [[18, 2], [0, 20]]}).confusion

    assert [(line["label"], [cell["count"] for cell in line["cells"]], line["share"]) for line in lines] == [
        ("ripe", [18, 2], "18 of 20 (70–97 %)"),  # noqa: RUF001
        ("not ripe", [0, 20], "20 of 20 (84–100 %)"),  # noqa: RUF001
    ]
    assert [cell["is_right"] for cell in lines[1]["cells"]] == [False, True]


def test_reliability_draws_shown_against_counted() -> None:
    bins = [
        {"low": 0.7, "high": 0.8, "mean": 0.75, "right": 5, "of": 10},
        {"low": 0.9, "high": 1, "mean": 0.9997, "right": 9, "of": 10},
        {"low": 0, "high": 1, "mean": 0, "right": 0, "of": 0},
    ]

    point, sure = card(figures={"reliability": bins}).reliability

    assert (point["x"], point["y"], point["mean"], point["said"]) == (75.0, 20.0, "75.0 %", "70 % to 80 %")
    assert point["share"].startswith("5 of 10 ")
    assert sure["mean"] == "> 99.9 %"


def test_promise_stands_beside_what_was_counted_for_each_class() -> None:
    sets = {"coverage": 0.95, "measured": [MEASURED, {**MEASURED, "covered": 31}]}

    lines = card(sureness={"sets": sets}).promises

    assert [(line["label"], line["promised"], line["counted"].split(" (")[0]) for line in lines] == [
        ("ripe", "about 95 in 100", "30 of 32"),
        ("not ripe", "about 95 in 100", "31 of 32"),
    ]
    assert lines[0]["expected"] == "25 to 32 of 32"


@pytest.mark.parametrize(
    ("coverage", "rows", "text"),
    [
        (0.8, [15, 21], "ripe has only 15 held-out cases: about 9 in 10 would need 20 of each class."),
        (0.95, [107, 64], "not ripe has only 64 held-out cases: more than 95 in 100 would need 100 of each class."),
        (0.98, [200, 300], ""),
    ],
)
def test_card_says_why_no_more_is_promised(coverage: float, rows: list[int], text: str) -> None:
    found = card(sureness={"sets": {"coverage": coverage, "rows": rows, "measured": [MEASURED]}}).promise_limit

    assert found == (text and f"More is not promised, because {text}")


def test_right_answers_are_counted_for_each_grade_and_class() -> None:
    counts = {
        "clear": [{"right": 8, "of": 9}, {"right": 0, "of": 0}],
        "uncertain": [{"right": 1, "of": 4}, {"right": 2, "of": 3}],
    }

    grades = card(sureness={"class_evidence": counts}).grades

    assert [(line["grade"], line["share"].split(" (")[0]) for line in grades] == [
        ("Clear: ripe", "8 of 9"),
        ("Uncertain: ripe", "1 of 4"),
        ("Uncertain: not ripe", "2 of 3"),
    ]


def test_version_of_an_earlier_release_counts_right_answers_for_each_grade() -> None:
    [line] = card(sureness={"evidence": {"clear": {"right": 8, "of": 9}}}).grades

    assert (line["grade"], line["share"].split(" (")[0]) == ("Clear", "8 of 9")


def test_errors_of_a_regression_are_those_of_its_answers() -> None:
    answers = card("regression", figures={"answers": [[0.0, float(error)] for error in range(1, 11)]}).answers

    assert answers
    assert (answers["count"], answers["low"], answers["high"]) == (10, "0", "10")
    assert [line["error"] for line in answers["errors"]] == ["5", "8", "9", "10"]


def test_errors_of_few_answers_are_those_that_as_many_cases_have() -> None:
    """Of 13 errors, ten (77 %) are at most 10. Eight in ten cases need eleven of them."""
    answers = card("regression", figures={"answers": [[0.0, float(error)] for error in range(1, 14)]}).answers

    assert answers
    assert [line["error"] for line in answers["errors"]] == ["7", "11", "12", "13"]


def test_importances_stand_the_largest_first_and_never_draw_below_nothing() -> None:
    lines = card("regression", figures={"importances": {"width": -0.5, "colour": 2.0}}).importances

    assert [(line["label"], line["width"], line["text"]) for line in lines] == [
        ("Colour", 100.0, "2"),
        ("Width", 0.0, "−0.5"),  # noqa: RUF001
    ]


def test_distributions_show_numbers_and_the_commonest_choices() -> None:
    profile = {
        "features": {
            "width": {
                "missing": 0.1,
                "minimum": 1.0,
                "maximum": 3.0,
                "deciles": [1.0] * 5 + [2.0] * 6,
                "counts": [3, 1],
            },
            "colour": {"missing": 0.0, "categories": [["g", 7], ["r", 3]]},
        }
    }

    width, colour = card(profile=profile).distributions

    assert (width["low"], width["middle"], width["high"], width["missing"]) == ("1", "2", "3", "10.0 %")
    assert (colour["categories"], colour["missing"]) == ("Green: 7, Red: 3", "")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_version_that_was_made_without_evidence_shows_none(task: str) -> None:
    bare = card(task)

    assert [bare.confusion, bare.reliability, bare.promises, bare.grades, bare.importances, bare.notes] == [[]] * 6
    assert (bare.answers, bare.gate_text, bare.calibration_text) == (None, "", "")
