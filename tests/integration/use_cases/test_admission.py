"""Admission: the rate of each caller and the bounds of the queue, checked before a row is kept."""

import asyncio
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from predictions.lifecycle import registry
from predictions.models import Lane, ModelVersion, Prediction, RegisteredModel, State
from predictions.queue import notifications, redis_client
from predictions.serving.schema.errors import KeyReused, QueueFull, TooMany, TooManyRows
from predictions.use_cases import admission
from predictions.use_cases.callers import Caller, of_address, of_visitor
from tests.chaos.proxy import before
from tests.integration.conftest import IRIS, make
from tests.support.asking import ask_row, ask_rows
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CALLER = Caller("visitor:somebody")
OTHER = Caller("visitor:somebody-else")
OTHER_ROW = [6.7, 3.1, 5.6, 2.4]


@pytest.fixture
def model(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registry.find("iris")


def ask(model: RegisteredModel, raw: Any = IRIS, caller: Caller = CALLER, **more: Any) -> Prediction:
    return ask_row(model, raw, caller, **more)


def count() -> int:
    return Prediction.objects.count()


# --- The bounds of the queue ------------------------------------------------------------------------------------------
def test_queue_that_is_full_takes_no_more(model: RegisteredModel, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 3
    for _ in range(3):
        make(iris, caller="visitor:others")

    with pytest.raises(QueueFull) as refused:
        ask(model)

    assert refused.value.retry_after == admission.LONGEST_WAIT
    assert count() == 3


def test_queue_with_one_place_left_takes_one(model: RegisteredModel, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 3
    for _ in range(2):
        make(iris)

    ask(model)
    with pytest.raises(QueueFull):
        ask(model)
    assert count() == 3


def test_running_and_ended_rows_do_not_fill_the_queue(
    model: RegisteredModel, iris: ModelVersion, settings: Any
) -> None:
    settings.MAX_QUEUED = 1
    for state in set(State) - {State.QUEUED}:
        make(iris, state)

    assert ask(model).state == State.QUEUED


def test_caller_who_fills_their_share_waits_and_others_do_not(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 2
    ask(model)
    ask(model)

    with pytest.raises(QueueFull):
        ask(model)
    assert ask(model, caller=OTHER).state == State.QUEUED
    with pytest.raises(QueueFull):
        ask(model)


def test_rows_together_count_each(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 2
    assert model.champion

    ask(model)
    with pytest.raises(QueueFull):
        ask_rows(model.champion, [IRIS] * 2, CALLER)
    assert count() == 1


def test_rows_that_can_never_fit_are_refused_with_the_limit(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 2
    assert model.champion

    with pytest.raises(TooManyRows, match="2 rows at most"):
        ask_rows(model.champion, [IRIS] * 3, CALLER)
    settings.MAX_QUEUED = 1
    with pytest.raises(TooManyRows, match="1 row at most"):
        ask_rows(model.champion, [IRIS] * 2, CALLER)
    settings.SUBMIT_RATE = "1/hour"
    with pytest.raises(TooManyRows):
        ask_rows(model.champion, [IRIS] * 2, CALLER)
    assert count() == 0


def test_bound_of_all_rows_below_that_of_one_caller_holds(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED, settings.MAX_QUEUED_PER_CALLER = 2, 5000
    ask(model)
    ask(model)

    with pytest.raises(QueueFull):
        ask(model)
    assert count() == 2


def test_full_queue_refuses_a_caller_who_has_room(model: RegisteredModel, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED, settings.MAX_QUEUED_PER_CALLER = 3, 2
    for _ in range(3):
        make(iris, caller="visitor:others")

    with pytest.raises(QueueFull):
        ask(model)
    assert count() == 3


def test_caller_without_room_does_not_take_the_last_place(
    model: RegisteredModel, iris: ModelVersion, settings: Any
) -> None:
    settings.MAX_QUEUED, settings.MAX_QUEUED_PER_CALLER = 4, 2
    make(iris, caller="visitor:others")
    ask(model)
    ask(model)

    with pytest.raises(QueueFull):
        ask(model)
    assert ask(model, caller=OTHER).state == State.QUEUED


def test_refused_rows_do_not_fill_the_queue(model: RegisteredModel, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 4
    make(iris)
    assert model.champion
    for _ in range(3):
        with pytest.raises(QueueFull):
            ask_rows(model.champion, [IRIS] * 4, CALLER)

    assert [ask(model).state for _ in range(3)] == [State.QUEUED] * 3


def test_visitors_of_one_address_share_its_place_in_the_queue(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 2
    ask(model, caller=of_visitor("one", "192.0.2.1"))
    ask(model, caller=of_visitor("two", "192.0.2.1"))

    with pytest.raises(QueueFull):
        ask(model, caller=of_visitor("three", "192.0.2.1"))
    with pytest.raises(QueueFull):
        ask(model, caller=of_address("192.0.2.1"))
    assert ask(model, caller=of_visitor("three", "192.0.2.2")).state == State.QUEUED


def test_full_queue_says_when_there_will_be_room(model: RegisteredModel, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 2
    for _ in range(5):
        make(iris)
    for _ in range(10):
        make(iris, State.SUCCEEDED)

    with pytest.raises(QueueFull) as refused:
        ask(model)
    assert refused.value.retry_after == 12  # 4 too many, 10 in the last 30 seconds


def test_key_used_before_is_answered_though_the_queue_is_full(model: RegisteredModel, settings: Any) -> None:
    first = ask(model, idempotency_key="k")
    settings.MAX_QUEUED = 1

    assert ask(model, idempotency_key="k").pk == first.pk
    with pytest.raises(KeyReused):
        ask(model, OTHER_ROW, idempotency_key="k")
    with pytest.raises(QueueFull):
        ask(model, idempotency_key="another")


def test_caller_may_fill_its_share_exactly(model: RegisteredModel, settings: Any) -> None:
    settings.MAX_QUEUED_PER_CALLER = 3
    assert model.champion

    assert len(ask_rows(model.champion, [IRIS] * 2, CALLER)) == 2
    assert ask(model).state == State.QUEUED
    with pytest.raises(QueueFull):
        ask(model)


def test_caller_who_filled_its_share_is_told_when_there_is_room(
    model: RegisteredModel, iris: ModelVersion, settings: Any
) -> None:
    settings.MAX_QUEUED_PER_CALLER = 4
    assert model.champion
    for _ in range(5):
        make(iris, State.SUCCEEDED)
    ask_rows(model.champion, [IRIS] * 3, CALLER)

    with pytest.raises(QueueFull) as refused:
        ask_rows(model.champion, [IRIS] * 3, CALLER)
    assert refused.value.retry_after == 12  # 2 too many, 5 in the last 30 seconds


def test_rows_accepted_between_two_counts_fill_the_queue(
    model: RegisteredModel, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the count of the queue is cached for an hour, as long as the queue is below half of its bound."""
    monkeypatch.setattr(admission, "FRESH_SECONDS", 3600)
    settings.MAX_QUEUED = 6
    for _ in range(6):
        ask(model)

    with pytest.raises(QueueFull):
        ask(model)
    assert count() == 6


# --- The rate ---------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("clean_redis")
def test_caller_who_asks_too_fast_is_told_when(model: RegisteredModel, settings: Any) -> None:
    settings.SUBMIT_RATE = "3/minute"
    for _ in range(3):
        ask(model)

    with pytest.raises(TooMany) as refused:
        ask(model)

    assert 55 <= refused.value.retry_after <= 60
    assert count() == 3
    assert ask(model, caller=OTHER).state == State.QUEUED


@pytest.mark.usefixtures("clean_redis")
def test_new_cookie_does_not_escape_the_rate(model: RegisteredModel, settings: Any) -> None:
    settings.SUBMIT_RATE = "2/minute"
    ask(model, caller=of_visitor("one", "192.0.2.1"))
    ask(model, caller=of_visitor("two", "192.0.2.1"))

    for caller in (of_visitor("three", "192.0.2.1"), of_address("192.0.2.1")):
        with pytest.raises(TooMany):
            ask(model, caller=caller)
    assert ask(model, caller=of_visitor("three", "192.0.2.2")).state == State.QUEUED


@pytest.mark.usefixtures("clean_redis")
def test_new_address_does_not_escape_the_rate_of_a_cookie(model: RegisteredModel, settings: Any) -> None:
    settings.SUBMIT_RATE = "1/minute"
    ask(model, caller=of_visitor("one", "192.0.2.1"))

    with pytest.raises(TooMany):
        ask(model, caller=of_visitor("one", "192.0.2.2"))


@pytest.mark.usefixtures("clean_redis")
def test_what_is_left_is_that_of_the_fuller_window(
    model: RegisteredModel, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor has two rate windows: one for the cookie, and one for the address, which other visitors fill too.

    Here the address has less left, and the window of the cookie ends first.
    """
    settings.SUBMIT_RATE = "5/minute"
    ask(model, caller=of_visitor("one", "192.0.2.1"))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 20)
    for _ in range(3):
        ask(model, caller=of_visitor("two", "192.0.2.2"))

    state = asyncio.run(admission.rate_state(of_visitor("one", "192.0.2.2")))

    assert state is not None
    assert (state.limit, state.remaining, state.window_seconds) == (5, 2, 60)
    assert 55 <= state.reset_seconds <= 60


@pytest.mark.usefixtures("clean_redis")
def test_key_used_before_is_answered_before_the_rate_and_costs_nothing(model: RegisteredModel, settings: Any) -> None:
    settings.SUBMIT_RATE = "2/minute"
    first = ask(model, idempotency_key="k")

    assert {ask(model, idempotency_key="k").pk for _ in range(4)} == {first.pk}
    ask(model)
    assert ask(model, idempotency_key="k").pk == first.pk
    with pytest.raises(TooMany):
        ask(model, idempotency_key="another")


@pytest.mark.usefixtures("clean_redis")
def test_rows_together_cost_as_many_as_they_are(model: RegisteredModel, settings: Any) -> None:
    settings.SUBMIT_RATE = "3/minute"
    assert model.champion
    ask_rows(model.champion, [IRIS] * 2, CALLER)

    with pytest.raises(TooMany):
        ask_rows(model.champion, [IRIS] * 2, CALLER)
    assert ask(model).state == State.QUEUED


def test_slow_redis_delays_a_request_by_the_budget_at_most(
    model: RegisteredModel,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    redis_server: str,
    clean_redis: redis.Redis,
) -> None:
    """A check of the rate would take 0.8 s, and so would the notification, which is sent all the same."""
    settings.SUBMIT_RATE = "100/minute"
    with (
        before(Path(urlsplit(redis_server).path)) as proxy,
        redis.Redis.from_url(f"redis://127.0.0.1:{proxy.port}/0") as slow,
    ):
        slow.ping()
        for module in (admission, notifications):
            monkeypatch.setattr(module, "client", lambda: slow)
        admission.reset()
        with proxy.slow(0.4):
            for _ in range(4):
                start = time.monotonic()
                assert ask(model).state == State.QUEUED
                assert time.monotonic() - start < redis_client.RATE_SECONDS + 0.2
            wait_until(lambda: clean_redis.llen(Lane.INTERACTIVE), 10, "the workers are notified")
            wait_until(lambda: not redis_client.helper.is_late, 10, "no command is under way")
    assert count() == 4


def test_slow_redis_is_not_waited_for_to_say_what_is_left(
    settings: Any, monkeypatch: pytest.MonkeyPatch, redis_server: str, clean_redis: redis.Redis
) -> None:
    """The first query is given up after the budget, and later requests do not ask Redis."""
    settings.SUBMIT_RATE = "100/minute"
    with (
        before(Path(urlsplit(redis_server).path)) as proxy,
        redis.Redis.from_url(f"redis://127.0.0.1:{proxy.port}/0") as slow,
    ):
        slow.ping()
        monkeypatch.setattr(admission, "client", lambda: slow)
        admission.reset()
        with proxy.slow(0.4):
            for budget in (redis_client.RATE_SECONDS, 0.0):
                start = time.monotonic()
                assert asyncio.run(admission.rate_state(CALLER)) is None
                assert time.monotonic() - start < budget + 0.15
        found: list[Any] = []

        def is_known() -> bool:
            """Ask again with a closed breaker: the query that was given up may end with an error, which opens it."""
            admission.reset()
            redis_client.breaker.reset()
            found.append(asyncio.run(admission.rate_state(CALLER)))
            return found[-1] is not None

        wait_until(is_known, 10, "a quick Redis is asked again")
    assert (found[-1].limit, found[-1].remaining) == (100, 100)


def test_nobody_is_too_fast_while_redis_is_away(
    model: RegisteredModel, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SUBMIT_RATE = "1/minute"
    dead = redis.Redis(unix_socket_path="/nowhere/redis.sock", retry=None)
    monkeypatch.setattr(admission, "client", lambda: dead)

    for _ in range(3):
        ask(model)
    assert count() == 3


@pytest.mark.usefixtures("clean_redis")
def test_refused_caller_is_told_of_its_own_window(
    model: RegisteredModel, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SUBMIT_RATE = "1/minute"
    ask(model)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 20)
    ask(model, caller=OTHER)

    with pytest.raises(TooMany) as first:
        ask(model)
    with pytest.raises(TooMany) as second:
        ask(model, caller=OTHER)
    assert 19 <= second.value.retry_after - first.value.retry_after <= 21
