"""The number of SQL statements of frequent operations, without those that control the transaction."""

import time

import pytest
from django.contrib.auth.models import User
from django.db import connection

from predictions.lifecycle import registry
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State, clock
from predictions.models.claim import Predicted
from predictions.serving.engines.predictor import Outcome
from predictions.use_cases.callers import Caller
from tests.integration.conftest import IRIS, SETOSA, make, statements
from tests.support.api_client import client_for
from tests.support.asking import ask_row, ask_rows
from tests.support.site_client import Client

CALLER = Caller("visitor:counted")


@pytest.fixture
def model(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    """A model that this process has cached."""
    return registry.find("iris")


def test_submit_counts_the_queue_and_writes_once(model: RegisteredModel) -> None:
    clock.now()
    with statements() as sent:
        ask_row(model, IRIS, CALLER)

    assert len(sent) == 2
    assert sent[0].startswith("SELECT COUNT(*)")
    assert sent[1].startswith(("INSERT INTO predictions_prediction ", "EXECUTE accept_"))


def test_submit_asks_for_the_time_of_the_database_again_after_a_second(
    model: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now()
    later = time.monotonic() + 1.1
    monkeypatch.setattr(clock.time, "monotonic", lambda: later)

    with statements() as sent:
        ask_row(model, IRIS, CALLER)

    assert f"SELECT {clock.NOW[connection.vendor]}" in sent


def test_submit_with_a_key_sends_one_more_insert(model: RegisteredModel) -> None:
    clock.now()
    with statements() as sent:
        ask_row(model, IRIS, CALLER, idempotency_key="api:k")

    assert len(sent) == 3


def test_submit_together_sends_the_same_statements_for_many_rows(model: RegisteredModel) -> None:
    version = model.champion
    assert version
    clock.now()
    with statements() as sent:
        ask_rows(version, [IRIS] * 40, CALLER)

    assert len(sent) == 2


@pytest.mark.parametrize("count", [1, 3, 64])
def test_claim_and_settle_send_one_statement_each_for_any_number_of_rows(iris: ModelVersion, count: int) -> None:
    for _ in range(count):
        make(iris)

    with statements() as claiming:
        claim = Prediction.objects.claim(Lane.INTERACTIVE, 64)
    assert claim
    with statements() as settling:
        Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)] * count, 1.0)])

    assert (len(claiming), len(settling)) == (1, 1)


def test_claim_of_an_empty_lane_sends_one_statement(iris: ModelVersion) -> None:
    with statements() as sent:
        Prediction.objects.claim(Lane.INTERACTIVE, 64)

    assert len(sent) == 1


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("address", ["/predictions/{}/status/", "/predictions/{}/", "/api/v1/predictions/{}/"])
def test_status_request_sends_one_statement_and_one_for_feedback_on_an_answer(
    iris: ModelVersion, client: Client, settings: object, state: State, address: str
) -> None:
    settings.WAITERS_MAX = 0  # type: ignore[attr-defined]  # no waiting: a waiting poll reads again at its end
    row = make(iris, state)
    registry.version(iris.pk)
    clock.now()

    with statements() as sent:
        client_for(address, client).get(address.format(row.pk))

    has_feedback = state == State.SUCCEEDED and address.startswith("/api/")
    assert len(sent) == (2 if has_feedback else 1)


# The board reads the feed, the last hour, and the unfinished predictions.
@pytest.mark.parametrize(
    ("address", "most"),
    [("/predictions/", 6), ("/api/v1/predictions/", 6), ("/monitor/", 10), ("/monitor/feed/", 9)],
)
def test_list_costs_the_same_for_one_row_and_for_three(
    iris: ModelVersion, admin_client: Client, admin_user: User, address: str, most: int
) -> None:
    caller = f"user:{admin_user.pk}"
    registry.version(iris.pk)
    make(iris, State.SUCCEEDED, caller=caller)
    asking = client_for(address, admin_client, admin_user)
    asking.get(address)
    with statements() as for_one:
        asking.get(address)
    for _ in range(2):
        make(iris, State.SUCCEEDED, caller=caller)
    with statements() as for_three:
        asking.get(address)

    assert len(for_three) == len(for_one)
    assert len(for_three) <= most
