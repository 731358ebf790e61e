"""The fallback worker: lanes without progress, and its child process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psutil
import pytest
from pytest_django.fixtures import Settings

from predictions.maintenance.fallback import HOLD_SECONDS
from predictions.models import Lane
from predictions.worker.fallback_worker import FallbackWorker
from tests.support.stack import Stack
from tests.support.waiting import wait_until
from tests.worker.estimators import HANG

# The time limit of the rule, the start of the child process on a busy machine, and the predictions.
SECONDS = 40


def submit(stack: Stack, count: int) -> list[str]:
    return [stack.submit("probe", {"x": number, "seconds": 0}) for number in range(count)]


def assert_answered(stack: Stack, ids: list[str]) -> None:
    assert {row["state"] for row in stack.wait_for_end(ids, SECONDS)} == {"succeeded"}
    values = [stack.get(prediction_id)["output"]["value"] for prediction_id in ids]
    assert values == [2 * number + 1 for number in range(len(ids))]


def is_key_repaired(stack: Stack) -> bool:
    assert_answered(stack, submit(stack, 1))
    return stack.redis.type(Lane.INTERACTIVE) in {b"none", b"list"}


# --- Lanes without progress -----------------------------------------------------------------------------------------
def test_redis_key_of_a_wrong_type_does_not_stop_predictions(stack: Stack) -> None:
    stack.redis.delete(Lane.INTERACTIVE)
    stack.redis.set(Lane.INTERACTIVE, "a string")

    assert_answered(stack, submit(stack, 20))

    # A fallback worker that still holds the lane after an earlier fault answers without touching the key.
    wait_until(lambda: is_key_repaired(stack), HOLD_SECONDS + SECONDS, "the key is deleted")
    assert "stands still" in stack["keeper"].log.read_text()
    assert stack["worker"].is_running


def test_redis_keys_without_expiry_do_not_stop_predictions(stack: Stack) -> None:
    assert_answered(stack, submit(stack, 1))
    stack.freeze("worker")
    ids = submit(stack, 20)
    for key in stack.redis.keys("foretell:*"):
        stack.redis.persist(key)
    stack.redis.delete(Lane.INTERACTIVE)
    stack["worker"].thaw()

    assert_answered(stack, ids)


def test_frozen_workers_do_not_stop_predictions(stack: Stack) -> None:
    stack.freeze("worker")
    try:
        ids = submit(stack, 20)
        assert_answered(stack, ids)
        health = stack.client.get("/healthz/ready").json()
        assert (health["status"], health["broker"]) == ("degraded", "reachable")
    finally:
        stack["worker"].thaw()


# --- The child process ----------------------------------------------------------------------------------------------
@pytest.fixture
def hanging(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    """A stack without Redis and workers, whose fallback worker hangs in a predict call."""
    with prepare_stack(TIME_LIMIT=100) as stack:
        stack.start("keeper", "web")
        prediction = stack.submit("probe-hanging", {"x": HANG, "seconds": 0})
        stack.wait_for_state(prediction, "running", SECONDS)
        yield stack


def children(stack: Stack) -> list[psutil.Process]:
    found = stack["keeper"].process.children(recursive=True)
    assert found
    return found


def assert_end(processes: list[psutil.Process]) -> None:
    wait_until(lambda: not any(map(is_alive, processes)), 5, "the child processes have ended")


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def heartbeats(stack: Stack) -> list[object]:
    return [row["at"] for row in stack.query("SELECT at FROM predictions_heartbeat WHERE name = 'keeper'")]


def test_hanging_child_ends_with_a_killed_keeper(hanging: Stack) -> None:
    found = children(hanging)
    hanging["keeper"].kill()
    assert_end(found)


def test_hanging_child_ends_with_a_terminated_keeper(hanging: Stack) -> None:
    found = children(hanging)
    hanging["keeper"].terminate(10)
    assert_end(found)


def test_hanging_child_does_not_delay_the_jobs(hanging: Stack) -> None:
    for _ in range(3):
        last = heartbeats(hanging)
        wait_until(lambda before=last: heartbeats(hanging) != before, 5, "the keeper sends a heartbeat")
    assert any(map(is_alive, children(hanging)))


def test_child_may_take_longer_to_start_than_a_predict_call(
    stack: Stack, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On a busy machine a child may need longer than that to import its libraries."""
    for name in ("VAR_DIR", "MODELS_DIR", "DATABASE_URL"):
        monkeypatch.setenv(name, stack.env[name])
    settings.CELERY_TASK_TIME_LIMIT = 0.5  # importing scikit-learn alone takes longer
    worker = FallbackWorker()
    try:
        worker.serve(Lane.INTERACTIVE)
    finally:
        worker.stop()
    assert "crashed" not in caplog.text
