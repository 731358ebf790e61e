"""Redis may be empty, frozen or absent: what was accepted is answered, and accepting stays quick."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx

from tests.support.stack import Stack
from tests.support.waiting import wait_until

LONGEST_REQUEST = 2.5


def submit_at_once(stack: Stack, count: int) -> list[str]:
    """Accepted predictions about the numbers below `count`, none of which was kept waiting."""
    with ThreadPoolExecutor(count) as callers:
        responses = list(callers.map(lambda number: stack.post("probe", {"x": number, "seconds": 0}), range(count)))
    assert [response.status_code for response in responses] == [202] * count
    assert max(response.elapsed.total_seconds() for response in responses) < LONGEST_REQUEST
    return [response.json()["id"] for response in responses]


def values(stack: Stack, ids: list[str]) -> list[float]:
    return [stack.get(prediction_id)["output"]["value"] for prediction_id in ids]


def test_rings_that_were_lost_are_rung_again(stack: Stack) -> None:
    stack["worker"].freeze()
    ids = submit_at_once(stack, 20)
    stack.redis.flushall()
    stack["worker"].thaw()
    stack.wait_for_end(ids, 30)
    assert values(stack, ids) == [2 * number + 1 for number in range(20)]


def test_frozen_redis_keeps_no_request_waiting(stack: Stack) -> None:
    stack["redis"].freeze()
    ids = submit_at_once(stack, 8) + submit_at_once(stack, 8)
    for path in ("/", "/models/iris/", f"/predictions/{ids[0]}/", f"/api/v1/predictions/{ids[0]}/"):
        response: httpx.Response = stack.client.get(path)
        assert response.status_code == 200
        assert response.elapsed.total_seconds() < LONGEST_REQUEST
    stack.wait_for_end(ids, 30)
    stack["redis"].thaw()
    assert values(stack, ids) == [2 * number + 1 for number in range(8)] * 2


def test_lines_may_start_in_any_order(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> None:
    with prepare_stack() as stack:
        stack.start("worker", "keeper", "web")
        stack.submit("probe", {"x": 0, "seconds": 0})  # the first request of a process loads what it needs
        # No Redis yet, so no worker hears of these: the keeper serves them.
        ids = submit_at_once(stack, 8) + submit_at_once(stack, 8)
        stack.wait_for_end(ids, 30)
        assert values(stack, ids) == [2 * number + 1 for number in range(8)] * 2

        stack["keeper"].terminate()
        stack.start("redis")
        # Without a keeper, only the worker can: it has found the Redis that came after it.
        wait_until(
            lambda: stack.post("probe", {"x": 5, "seconds": 0}, Prefer="wait=1").status_code == 200,
            30,
            "the worker serves",
        )
