"""What a person reads of a prediction, from a row that no database has seen."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from predictions.web.presenters import HEADLINES, PredictionPresenter

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
SIGNATURE: list[dict[str, Any]] = [
    {"kind": "number", "name": "inner width", "label": "Width", "unit": "mm", "group": "Inner"},
    {"kind": "number", "name": "outer width", "label": "Width", "unit": "mm", "group": "Outer"},
    {"kind": "choice", "name": "colour", "label": "Colour", "choices": [["r", "Red"]], "group": "Inner"},
    {"kind": "boolean", "name": "ripe", "group": "Outer"},
    {"kind": "text", "name": "note", "required": False},
]
PROFILE = {"features": {"outer width": {"minimum": 1.0, "maximum": 2.0}}}


def shown(state: State = State.SUCCEEDED, output: Any = None, attempt: int = 0, **fields: Any) -> PredictionPresenter:
    model = RegisteredModel(pk=1, name="fruit", title="Fruit")
    version = ModelVersion(
        pk=1, registered_model=model, number=3, manifest={"signature": SIGNATURE, "profile": PROFILE, "predict_ms": 2}
    )
    values = [1.5, 9.0, "r", True, None]
    row = Prediction(version=version, state=state, output=output, values=values, created_at=NOW, **fields)
    return PredictionPresenter(row, attempt)


def classified(**shares: float) -> dict[str, Any]:
    label = max(shares, key=lambda name: shares[name])
    return {
        "kind": "classification",
        "label": label,
        "probabilities": shares,
        "prediction_set": [label],
        "coverage": 0.9,
    }


def regressed(value: float, interval: list[float] | None) -> dict[str, Any]:
    return {"kind": "regression", "value": value, "unit": "mm", "interval": interval, "coverage": 0.9}


# --- The answer -------------------------------------------------------------------------------------------------------
def test_classes_stand_the_most_probable_first() -> None:
    bars = shown(output=classified(a=0.0004, b=0.2, c=0.7996)).bars

    assert [(bar["label"], bar["percent"], bar["is_answer"], bar["in_set"]) for bar in bars] == [
        ("c", "80.0 %", True, True),
        ("b", "20.0 %", False, False),
        ("a", "< 0.1 %", False, False),
    ]


def test_class_without_probabilities_is_an_answer_all_the_same() -> None:
    output = {"kind": "classification", "label": "a", "probabilities": None, "prediction_set": None, "coverage": None}

    answer = shown(output=output)

    assert (answer.answer_text, answer.bars, answer.set_text, answer.interval_text) == ("a", [], "", "")


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([], "No class is typical of this input at 90 % coverage: be careful."),
        (["a"], "Only a is plausible at 90 % coverage."),
        (["a", "b"], "a or b: none of these can be ruled out at 90 % coverage."),
        (["a", "b", "c"], "a, b or c: none of these can be ruled out at 90 % coverage."),
    ],
)
def test_set_says_how_sure_it_is(labels: list[str], sentence: str) -> None:
    assert shown(output={**classified(a=1.0), "prediction_set": labels}).set_text == sentence


def test_number_has_its_unit_and_its_interval_drawn_to_scale() -> None:
    answer = shown(output=regressed(15.0, [10.0, 40.0]))

    assert answer.answer_text == "15 mm"
    assert answer.interval_text == "Between 10 and 40 in 90 % of cases."
    assert answer.scale == {
        "interval_x": 20.0,
        "interval_width": 60.0,
        "value_x": 30.0,
        "min_text": "0",
        "max_text": "50",
    }


@pytest.mark.parametrize("interval", [None, [15.0, 15.0]])
def test_number_without_a_width_has_no_scale(interval: Any) -> None:
    assert shown(output=regressed(15.0, interval)).scale is None


# --- Words of the states ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", list(State))
def test_each_state_has_its_words(state: State) -> None:
    answer = shown(state)

    assert (answer.state_text, answer.announcement) == (HEADLINES[state], f"Fruit: {HEADLINES[state]}")
    assert answer.can_cancel == (state in (State.QUEUED, State.RUNNING))
    assert answer.can_retry == (state in (State.FAILED, State.CANCELED, State.EXPIRED))


def test_end_of_polling_is_no_failure(settings: Any) -> None:
    answer = shown(State.RUNNING, attempt=settings.POLL_ATTEMPTS)

    assert (answer.capped, answer.state_text) == (True, "Being predicted")
    assert answer.note == "This takes longer than usual. The work goes on, and this address keeps the result."
    assert answer.announcement == "Fruit: not finished yet. This page has stopped asking; the work goes on."


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED])
def test_what_has_ended_is_never_capped(settings: Any, state: State) -> None:
    assert not shown(state, attempt=settings.POLL_ATTEMPTS).capped


@pytest.mark.parametrize(
    ("state", "code", "known"),
    [
        (State.FAILED, "worker_lost", {"code": "worker_lost", "retryable": True}),
        (State.FAILED, "model_error", {"code": "model_error", "retryable": False}),
        (State.FAILED, "of another version", None),
        (State.EXPIRED, "timeout", None),
        (State.SUCCEEDED, "", None),
    ],
)
def test_error_is_one_of_ours_or_none(state: State, code: str, known: Any) -> None:
    error = shown(state, error_code=code).error

    assert (error and {"code": error["code"], "retryable": error["retryable"]}) == known


# --- What was asked ---------------------------------------------------------------------------------------------------
def test_inputs_stand_group_by_group_with_their_own_advice() -> None:
    """Two features have the label "Width"; the advice is on one of them."""
    rows = [(row["label"], row["value"], row["group"], bool(row["advice"])) for row in shown().inputs]

    assert rows == [
        ("Width", "1.5", "Inner", False),
        ("Colour", "Red", "Inner", False),
        ("Width", "9", "Outer", True),
        ("ripe", "yes", "Outer", False),
        ("note", "not given", "", False),
    ]
    assert [advice["feature"] for advice in shown().advice] == ["Width"]


def test_times_that_have_not_come_are_left_out() -> None:
    assert [time["label"] for time in shown(State.QUEUED).times] == ["Asked"]
    ended = shown(started_at=NOW, finished_at=NOW + timedelta(milliseconds=30))
    assert [time["label"] for time in ended.times] == ["Asked", "Taken by a worker", "Finished"]
    assert (ended.total_text, ended.timing_text) == ("30 ms", "Answered in 30 ms")
