"""Redis is empty, frozen or absent: predictions are still accepted quickly and answered."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx

from tests.support.stack import Stack
from tests.support.waiting import wait_until

LONGEST_REQUEST = 2.5


def submit_concurrently(stack: Stack, count: int) -> list[str]:
    """Submit the numbers below `count` at the same time, and check that each is accepted quickly. Returns the ids."""
    with ThreadPoolExecutor(count) as callers:
        responses = list(callers.map(lambda number: stack.post("probe", {"x": number, "seconds": 0}), range(count)))
    assert [response.status_code for response in responses] == [202] * count
    assert max(response.elapsed.total_seconds() for response in responses) < LONGEST_REQUEST
    return [response.json()["id"] for response in responses]


def values(stack: Stack, ids: list[str]) -> list[float]:
    return [stack.get(prediction_id)["output"]["value"] for prediction_id in ids]


def test_lost_notifications_are_repeated(stack: Stack) -> None:
    stack.freeze("worker")
    ids = submit_concurrently(stack, 20)
    stack.redis.flushall()
    stack["worker"].thaw()
    stack.wait_for_end(ids, 30)
    assert values(stack, ids) == [2 * number + 1 for number in range(20)]


def test_frozen_redis_delays_no_request(stack: Stack) -> None:
    stack["redis"].freeze()
    ids = submit_concurrently(stack, 8) + submit_concurrently(stack, 8)
    for path in ("/", "/models/iris/", f"/predictions/{ids[0]}/", f"/api/v1/predictions/{ids[0]}/"):
        response: httpx.Response = stack.client.get(path)
        assert response.status_code == 200
        assert response.elapsed.total_seconds() < LONGEST_REQUEST
    stack.wait_for_end(ids, 30)
    stack["redis"].thaw()
    assert values(stack, ids) == [2 * number + 1 for number in range(8)] * 2


def test_processes_may_start_in_any_order(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> None:
    with prepare_stack() as stack:
        stack.start("worker", "keeper", "web")
        stack.submit("probe", {"x": 0, "seconds": 0})  # the first request of a process is slow
        # Without Redis no worker is notified, so the keeper executes these.
        ids = submit_concurrently(stack, 8) + submit_concurrently(stack, 8)
        stack.wait_for_end(ids, 30)
        assert values(stack, ids) == [2 * number + 1 for number in range(8)] * 2

        stack["keeper"].terminate()
        stack.start("redis")
        # The keeper is gone, so the worker answers: it has connected to the Redis that started later.
        wait_until(
            lambda: stack.post("probe", {"x": 5, "seconds": 0}, Prefer="wait=1").status_code == 200,
            30,
            "the worker answers",
        )
