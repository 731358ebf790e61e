"""The sentences of explanations and what-ifs follow from the result that a worker stored, and claim no causes."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.models import Computation, ModelVersion, Prediction, RegisteredModel, State
from predictions.serving.schema.errors import WorkerLost
from predictions.web.explanation import ExplanationPresenter
from predictions.web.number_input import read_number
from predictions.web.what_if import InvalidChange, WhatIfPresenter, changed_row

SIGNATURE: list[dict[str, Any]] = [
    {"kind": "number", "name": "width", "label": "Width", "unit": "mm", "minimum": 0.0},
    {"kind": "choice", "name": "colour", "label": "Colour", "choices": [["r", "Red"], ["g", "Green"]]},
    {"kind": "boolean", "name": "ripe", "label": "Ripe"},
]
PROFILE = {
    "features": {
        "width": {"minimum": 0.0, "maximum": 10.0, "deciles": [0.0, *[5.0] * 9, 10.0]},
        "colour": {"categories": [["g", 7], ["r", 3]]},
    }
}
PLUM = {"kind": "classification", "label": "plum", "probabilities": {"plum": 0.9, "pear": 0.1}, "grade": "clear"}
WEIGHT = {"kind": "regression", "value": 40.0, "unit": "g", "interval": [30.0, 50.0], "coverage": 0.9}
OPTIONS: dict[str, Any] = {"attempt": 0, "delay_ms": 100, "capped": False}


def asked(output: dict[str, Any] = PLUM) -> Prediction:
    model = RegisteredModel(pk=1, name="fruit", title="Fruit")
    manifest = {"signature": SIGNATURE, "profile": PROFILE, "task": output["kind"]}
    version = ModelVersion(pk=1, registered_model=model, number=3, manifest=manifest)
    return Prediction(version=version, state=State.SUCCEEDED, output=output, values=[7.5, "r", True])


def computed(result: Any, **fields: Any) -> Computation:
    from django.utils import timezone

    return Computation(pk=1, result=result, **{"finished_at": timezone.now(), **fields})


def explained(scale: str = "probability", output: dict[str, Any] = PLUM, **shares: float) -> ExplanationPresenter:
    result = {
        "scale": scale, "label": output.get("label"), "method": "exact", "rows": 50,
        "base": 0.5, "answer": 0.5 + sum(shares.values()),
        "contributions": {"width": 0.0, "colour": 0.0, "ripe": 0.0, **shares},
    }  # fmt: skip
    return ExplanationPresenter(asked(output), computed(result), **OPTIONS)


@pytest.mark.parametrize(
    ("scale", "output", "share", "sentence"),
    [
        ("probability", PLUM, 0.25, "Width of 7.5 mm moved the answer most: towards plum."),
        ("probability", PLUM, -0.25, "Width of 7.5 mm moved the answer most: away from plum."),
        ("log-odds", PLUM, 3.0, "Width of 7.5 mm moved the answer most: towards plum."),
        ("value", WEIGHT, 12.34, "Width of 7.5 mm moved the answer most: up by 12 g."),
        ("value", WEIGHT, -3.0, "Width of 7.5 mm moved the answer most: down by 3 g."),
    ],
)
def test_sentence_names_the_largest_contribution_and_its_direction(
    scale: str, output: Any, share: float, sentence: str
) -> None:
    assert explained(scale, output, width=share, ripe=-0.1).sentence == sentence


def test_nothing_is_named_where_nothing_moved_the_answer() -> None:
    assert explained().sentence.startswith("No value of this case moves the answer")


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_sentence_names_no_feature_but_the_one_that_moved_most(width: float, colour: float, ripe: float) -> None:
    shown = explained(width=width, colour=colour, ripe=ripe)
    shares = {"Width": width, "Colour": colour, "Ripe": ripe}
    found = re.match(r"(\w+) of .* moved the answer most: (towards|away from) plum", shown.sentence)

    if found is None:
        assert max(map(abs, shares.values())) < 1e-9
        return
    assert abs(shares[found[1]]) == max(map(abs, shares.values()))
    assert (found[2] == "towards") == (shares[found[1]] > 0)


@given(st.floats(-0.9, 0.9))
def test_number_beside_a_bar_is_its_contribution(share: float) -> None:
    [bar] = [bar for bar in explained(width=share).bars if bar["label"] == "Width"]
    number = float(read_number(bar["text"].removesuffix(" in 100").lstrip("+")))

    assert number == pytest.approx(share * 100, rel=0.051, abs=1e-9)
    assert (bar["x"] < 50) == (share < 0 and bar["width"] > 0)


@pytest.mark.parametrize(
    ("rows", "cases"), [(1, "Compared with 1 case that it learned from"), (2, "Compared with 2 cases that it learned")]
)
@pytest.mark.parametrize("scale", ["value", "probability", "log-odds"])
def test_cases_of_a_comparison_are_counted_in_the_singular_and_plural(scale: str, rows: int, cases: str) -> None:
    shown = explained(scale, WEIGHT if scale == "value" else PLUM)
    shown._result = {**shown._result, "rows": rows}

    assert shown.base_text.startswith(cases)


@pytest.mark.parametrize(("count", "label"), [(6, "1 other value"), (7, "2 other values together")])
def test_values_without_a_bar_of_their_own_are_counted(count: int, label: str) -> None:
    names = [f"f{number}" for number in range(count)]
    shown = explained()
    shown._row.version.manifest["signature"] = [{"kind": "number", "name": name} for name in names]
    shown._row.values = [1.0] * count
    shown._result = {**shown._result, "contributions": dict.fromkeys(names, 0.1)}

    assert shown.bars[-1]["label"] == label


def test_bars_stand_beside_own_and_typical_values_and_the_rest_is_summed() -> None:
    shown = explained(width=0.25, colour=-0.1, ripe=0.05)

    assert [(bar["label"], bar.get("own"), bar.get("typical"), bar["text"]) for bar in shown.bars] == [
        ("Width", "7.5 mm", "5 mm", "+25 in 100"),
        ("Colour", "Red", "Green", "−10 in 100"),  # noqa: RUF001
        ("Ripe", "yes", "", "+5 in 100"),
    ]
    assert shown.base_text == (
        "Compared with 50 cases that it learned from: on average it gives plum 50 in 100 for them, and 70 in 100 here."
    )


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.9998, "> 99.9 in 100 here"),
        (0.99, "99 in 100 here"),
        (0.0004, "< 0.1 in 100 here"),
        (0.0, "< 0.1 in 100 here"),
    ],
)
def test_probability_in_an_explanation_is_never_certain(share: float, text: str) -> None:
    assert explained(width=share - 0.5).base_text.endswith(f", and {text}.")


def test_sampling_is_said_only_where_it_was_sampled() -> None:
    assert "exactly (Shapley values)" in explained(width=0.1).method_text


@pytest.mark.parametrize(
    ("found", "ready", "polls", "error"),
    [
        (None, False, False, ""),
        (Computation(pk=1), False, True, ""),
        (computed({"reason": "why"}), True, False, ""),
        (computed({}, error_code="worker_lost"), True, False, WorkerLost.sentence),
    ],
)  # fmt: skip
def test_explanation_polls_until_it_is_ready(found: Any, ready: bool, polls: bool, error: str) -> None:
    shown = ExplanationPresenter(asked(), found, **OPTIONS)

    assert (shown.is_ready, shown.is_polling, shown.error) == (ready, polls, error)
    assert not ExplanationPresenter(asked(), found, **{**OPTIONS, "capped": True}).is_polling


# --- What if ----------------------------------------------------------------------------------------------------------
def what_if(result: dict[str, Any], output: dict[str, Any] = PLUM) -> WhatIfPresenter:
    return WhatIfPresenter(asked(output), computed(result), **OPTIONS)


def test_smallest_change_is_said_with_both_values_and_the_other_answer() -> None:
    change = {"feature": "width", "from": 7.5, "to": 2.0, "output": {**PLUM, "label": "pear"}}

    assert what_if({"change": change}).change == (
        "If Width were 2 mm instead of 7.5 mm, and all else the same, it would answer: pear."
    )


@pytest.mark.parametrize(("output", "other"), [(PLUM, "another answer"), (WEIGHT, "an answer outside the interval")])
@pytest.mark.parametrize(
    ("features", "values", "counted"),
    [(2, 41, "41 values for 2 of 3 inputs"), (1, 1, "1 value for 1 of 3 inputs")],
)
def test_no_change_is_said_of_what_was_tried_alone(
    output: Any, other: str, features: int, values: int, counted: str
) -> None:
    shown = what_if({"change": None, "tried": {"features": features, "values": values}}, output)

    assert shown.change.startswith(f"None of the single changes that were tried gives {other}")
    assert shown.change.endswith(f": {counted}.")


@pytest.mark.parametrize("tried", [{"tried": {"features": 0, "values": 0}}, {}])
def test_nothing_is_said_of_changes_where_none_is_known_to_be_tried(tried: Any) -> None:
    assert what_if({"change": None, **tried}).change == ""


@pytest.mark.parametrize("output", [{**WEIGHT, "interval": None}, {**WEIGHT, "interval": None, "grade": "outside"}])
def test_answer_without_an_interval_has_no_smallest_change(output: Any) -> None:
    assert what_if({"change": None}, output).change == (
        "This answer has no interval, so the smallest change is not looked for."
    )


def test_other_answer_stands_beside_this_one_only_where_it_was_asked_for() -> None:
    shown = what_if({"changed": {**PLUM, "label": "pear"}})

    assert shown.after
    assert (shown.before.text, shown.after.text) == ("plum", "pear")
    assert what_if({"changed": None}).after is None


def test_curve_greys_what_lies_beyond_the_training_data() -> None:
    points = [{"x": x, "y": y, "outside": False} for x, y in ((-2.0, 0.1), (0.0, 0.2), (10.0, 0.8), (18.0, 1.0))]
    curve = {"feature": "width", "own": 8.0, "moves": 0.6, "low": 0.0, "high": 10.0, "points": points}

    [drawn] = what_if({"curves": [curve, {**curve, "moves": 0.0}]}).curves

    assert (drawn["inside_x"], drawn["outside_x"], drawn["outside_width"], drawn["own_x"]) == (10.0, 60.0, 40.0, 50.0)
    assert [line["is_guess"] for line in drawn["table"]] == [True, False, False, True]
    assert [line["y"] for line in drawn["table"]] == ["10.0 %", "20.0 %", "80.0 %", "> 99.9 %"]
    assert (drawn["bottom"], drawn["top"]) == ("0 %", "100 %")


@pytest.mark.parametrize(
    ("name", "text", "row"),
    [
        ("width", "2,5 mm", [2.5, "r", True]),
        ("colour", "green", [7.5, "g", True]),
        ("colour", "g", [7.5, "g", True]),
        ("ripe", "No", [7.5, "r", False]),
    ],
)
def test_other_value_is_read_as_people_write_it(name: str, text: str, row: list[Any]) -> None:
    assert changed_row(asked(), name, text) == row


@pytest.mark.parametrize(
    ("choices", "text", "value"),
    [
        ({"m": "m", "M": "M"}, "M", "M"),
        ({"a": "b", "b": "a"}, "b", "b"),
        ({"a": "Red", "b": "RED"}, "RED", "b"),
        ({" Private": " Private", "State": "State"}, " Private", " Private"),
        ({" Private": " Private", "State": "State"}, "private ", " Private"),
        ({"": "", "a": "a"}, "(empty)", ""),
        ({" ": " ", "a": "a"}, " ", " "),
        ({" ": " ", "a": "a"}, "(1 space)", " "),
        ({" ": "  ", "a": "a"}, "(2 spaces)", " "),
        ({2: "Two", 1: "One"}, "1", 1),
    ],
)
def test_choice_that_is_typed_exactly_is_that_choice(choices: dict[Any, str], text: str, value: Any) -> None:
    assert changed_row(with_feature("choice", choices=[*choices.items()]), "own", text) == [value]


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"male": "male", "MALE": "MALE"}, "Male"),
        ({"a": "Red", "b": "Red"}, "Red"),
        ({"": "", "a": "a"}, " "),
        ({" ": " ", "a": "a"}, ""),
    ],
)
def test_text_that_names_no_choice_or_two_of_them_is_refused(choices: dict[Any, str], text: str) -> None:
    with pytest.raises(InvalidChange, match=r"^own: "):
        changed_row(with_feature("choice", choices=[*choices.items()]), "own", text)


def test_spaces_around_a_text_are_part_of_it() -> None:
    assert changed_row(with_feature("text"), "own", " as typed ") == [" as typed "]


def with_feature(kind: str, **properties: Any) -> Prediction:
    """An answer of a version with one feature of this kind."""
    manifest = {"signature": [{"kind": kind, "name": "own", **properties}]}
    return Prediction(version=ModelVersion(manifest=manifest), values=[None])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("length", "2", "Choose a value to change."),
        ("width", "wide", "“wide” is not a number."),
        ("width", "-1", "Width: Must be at least 0"),
        ("width", " ", "Width: Please fill this in."),
        ("colour", "blue", "Colour: "),
    ],
)
def test_value_that_cannot_be_taken_is_refused_with_its_remedy(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidChange) as refused:
        changed_row(asked(), name, text)
    assert str(refused.value).startswith(message)
