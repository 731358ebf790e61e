"""The words of a prediction on its pages, from rows that are not stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

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
    told = {name: fields.pop(name) for name in ("viewer", "late_since", "ahead", "feedback") if name in fields}
    row = Prediction(
        **{
            "version": version,
            "caller": "visitor:asker",
            "state": state,
            "output": output,
            "values": [1.5, 9.0, "r", True, None],
            "created_at": NOW,
            "deadline_at": NOW + timedelta(minutes=5),
            **fields,
        }
    )
    return PredictionPresenter(row, attempt, **told)


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.models.clock.recent", lambda: NOW)


# --- Words of the states ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", list(State))
def test_each_state_has_its_words(state: State) -> None:
    answer = shown(state)

    assert (answer.state_text, answer.announcement) == (HEADLINES[state], f"Fruit: {HEADLINES[state]}")


def test_title_of_the_page_names_state_and_model() -> None:
    assert shown(State.FAILED).page_title == "Failed · Fruit · Foretell"


def test_title_of_the_page_names_answer_and_grade() -> None:
    output = {"kind": "classification", "label": "plum", "grade": "clear"}

    assert shown(output=output).page_title == "plum · clear · Fruit · Foretell"
    assert shown(output={**output, "grade": "outside"}).page_title == "outside its experience · plum · Fruit · Foretell"
    assert shown(output={**output, "grade": None}).page_title == "plum · Fruit · Foretell"


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (None, "Asked 12 s ago."),
        (0, "Asked 12 s ago. It is next in the queue."),
        (1, "Asked 12 s ago. 1 is before it."),
        (7, "Asked 12 s ago. 7 are before it."),
        (1000, "Asked 12 s ago. At least 1000 are before it."),
    ],
)
def test_waiting_prediction_says_how_long_and_how_many_are_before_it(ahead: int | None, sentence: str) -> None:
    waiting = shown(State.QUEUED, created_at=NOW - timedelta(seconds=12), ahead=ahead)

    assert waiting.progress == sentence


def test_ended_prediction_does_not_wait() -> None:
    assert shown(State.SUCCEEDED).progress == ""


@pytest.mark.parametrize(
    ("width", "sentence"),
    [
        (9.0, "1 of 5 values lies outside what it learned from."),
        (1.5, "Each value lies within what it learned from, but no case that it learned from has them together."),
    ],
)
def test_values_outside_the_training_data_are_counted(width: float, sentence: str) -> None:
    assert shown(values=[1.5, width, "r", True, None]).outside_text == sentence


@pytest.mark.parametrize(
    ("state", "minutes", "note"),
    [
        (
            State.QUEUED,
            5,
            "It is kept and waits for a worker. Without an answer by 12:05:00 UTC (in 5 min) it ends as expired.",
        ),
        (
            State.RUNNING,
            1,
            "A worker computes it now. Without an answer by 12:01:00 UTC (in 60.0 s) it ends as expired.",
        ),
        (State.QUEUED, -1, "Its time ran out at 11:59:00 UTC. It ends as expired, unless an answer arrives first."),
        (State.RUNNING, 0, "Its time ran out at 12:00:00 UTC. It ends as expired, unless an answer arrives first."),
    ],
)
def test_unfinished_prediction_says_until_when_it_waits(state: State, minutes: int, note: str) -> None:
    assert shown(state, deadline_at=NOW + timedelta(minutes=minutes)).note == note


def test_end_of_polling_is_not_a_failure(settings: Any) -> None:
    answer = shown(State.RUNNING, attempt=settings.POLL_ATTEMPTS)

    assert (answer.capped, answer.state_text) == (True, "Being predicted")
    assert answer.note == "The work goes on until 12:05:00 UTC, and this address keeps the result."
    assert answer.announcement == f"Fruit: not finished yet. This page has stopped asking. {answer.note}"


def test_end_of_polling_tells_that_workers_are_late(settings: Any) -> None:
    answer = shown(attempt=settings.POLL_ATTEMPTS, state=State.QUEUED, late_since=NOW - timedelta(minutes=3))

    assert answer.note.endswith("The workers are late since 11:57:00 UTC.")


def test_end_of_polling_past_the_deadline_promises_no_work(settings: Any) -> None:
    answer = shown(State.QUEUED, attempt=settings.POLL_ATTEMPTS, deadline_at=NOW)

    assert answer.note == "Its time ran out at 12:00:00 UTC. This address shows how it ends."


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED])
def test_ended_prediction_is_never_capped(settings: Any, state: State) -> None:
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
def test_error_has_a_known_code_or_is_none(state: State, code: str, known: Any) -> None:
    error = shown(state, error_code=code).error

    assert (error and {"code": error["code"], "retryable": error["retryable"]}) == known


# --- What can be done, and who sees it --------------------------------------------------------------------------------
@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize(("viewer", "is_asker"), [("visitor:asker", True), ("visitor:other", False), ("", False)])
def test_only_the_asker_cancels_and_rates(state: State, viewer: str, is_asker: bool) -> None:
    answer = shown(state, viewer=viewer)

    assert answer.can_cancel == (is_asker and state in (State.QUEUED, State.RUNNING))
    assert answer.can_feedback == (is_asker and state == State.SUCCEEDED)


@pytest.mark.parametrize(
    ("state", "code", "can_retry"),
    [
        (State.FAILED, "worker_lost", True),
        (State.FAILED, "model_error", False),
        (State.FAILED, "of another version", False),
        (State.EXPIRED, "timeout", True),
        (State.CANCELED, "", True),
        (State.SUCCEEDED, "", False),
        (State.QUEUED, "", False),
    ],
)
def test_retry_is_offered_only_where_it_can_help(state: State, code: str, can_retry: bool) -> None:
    assert shown(state, error_code=code).can_retry == can_retry


@pytest.mark.parametrize(
    ("owner", "viewer", "public", "sentence"),
    [
        (
            User(pk=7),
            "visitor:asker",
            True,
            "You and the analysts of this service can see it. Everyone who gets the view-only link can look at it for"
            " 30 days.",
        ),
        (User(pk=7), "user:8", True, "Its owner and the analysts of this service can see it."),
        (None, "user:8", False, "The analysts of this service can see it."),
        (
            None,
            "visitor:asker",
            True,
            "Everyone who has its link can see it. Only this browser can cancel it or say whether it was right.",
        ),
        (
            None,
            "visitor:other",
            True,
            "Everyone who has its link can see it."
            " Only the browser or program that asked can cancel it or say whether it was right.",
        ),
    ],
)
def test_each_result_says_who_can_see_it(settings: Any, owner: Any, viewer: str, public: bool, sentence: str) -> None:
    settings.PUBLIC_PREDICTIONS = public

    assert shown(owner=owner, viewer=viewer).audience == sentence


def test_unfinished_prediction_has_no_link_to_share(settings: Any) -> None:
    waiting = shown(State.QUEUED, owner=User(pk=7), viewer="visitor:asker")
    assert (waiting.share_url, waiting.audience) == ("", "You and the analysts of this service can see it.")


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


@pytest.mark.parametrize(("features", "seen", "folded"), [(1, 1, 0), (4, 4, 0), (5, 3, 2), (30, 3, 27)])
def test_advice_on_many_values_is_folded(features: int, seen: int, folded: int) -> None:
    names = [f"f{number}" for number in range(features)]
    manifest = {
        "signature": [{"kind": "number", "name": name} for name in names],
        "profile": {"features": {name: {"minimum": 1.0, "maximum": 2.0} for name in names}},
    }
    version = ModelVersion(pk=1, registered_model=RegisteredModel(pk=1, name="fruit"), number=3, manifest=manifest)

    answer = shown(version=version, values=[9.0] * features)

    assert (len(answer.advice_shown), len(answer.advice_folded)) == (seen, folded)


def test_answer_outside_is_marked_in_lists() -> None:
    output = {"kind": "regression", "value": 7.0, "unit": "mm", "interval": None, "coverage": None, "grade": "outside"}

    assert shown(output=output).answer_text == "7 mm (outside its experience)"
    assert shown(output={**output, "grade": None}).answer_text == "7 mm"


def test_times_that_have_not_come_are_left_out() -> None:
    assert [time["label"] for time in shown(State.QUEUED).times] == ["Asked"]
    ended = shown(started_at=NOW, finished_at=NOW + timedelta(milliseconds=30))
    assert [time["label"] for time in ended.times] == ["Asked", "Taken by a worker", "Ended"]
    assert (ended.total_text, ended.timing_text) == ("30 ms", "Answered in 30 ms")
