"""Many at once, over HTTP, against the real processes."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import httpx

from tests.support.stack import Stack
from tests.support.waiting import wait_until

MANY = 50
WAIT_SECONDS = 2
# A busy machine needs a while for fifty answers; a request that waited for the worker would need for ever.
SLACK_SECONDS = 8
ROW = {"x": 3, "seconds": 0}

T = TypeVar("T")


def at_once(stack: Stack, ask: Callable[[httpx.Client], T]) -> list[T]:
    """What each of many callers got, each with a connection of its own."""

    def one(_: int) -> T:
        with httpx.Client(base_url=stack.client.base_url, timeout=60.0) as client:
            return ask(client)

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(one, range(MANY)))


def test_many_posts_with_one_key_are_one_prediction(stack: Stack) -> None:
    headers = {"Idempotency-Key": "a crowd", "Prefer": "wait=20"}

    def ask(client: httpx.Client, x: int = 3) -> httpx.Response:
        return client.post("/api/v1/models/probe/predictions/", json={"features": {**ROW, "x": x}}, headers=headers)

    answers = at_once(stack, ask)

    assert {answer.status_code for answer in answers} <= {200, 202}
    (prediction_id,) = {answer.json()["id"] for answer in answers}
    stack.wait_for_end([prediction_id], 30)
    # Whoever found no place to wait has seen it before its end; asked again, all get the same.
    answers = at_once(stack, ask)
    assert len({answer.text for answer in answers}) == 1
    assert (answers[0].status_code, answers[0].json()["output"]["value"]) == (200, 7)
    # The stack's own client may be a visitor by now, whose keys are others.
    (other, *_) = at_once(stack, lambda client: ask(client, x=4))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_many_waits_on_a_busy_server_end_in_time_and_pages_answer_meanwhile(stack: Stack) -> None:
    stack["worker"].freeze()
    before = len(stack.rows())

    def ask(client: httpx.Client) -> tuple[int, str, float]:
        start = time.monotonic()
        headers = {"Prefer": f"wait={WAIT_SECONDS}"}
        answer = client.post("/api/v1/models/probe/predictions/", json={"features": ROW}, headers=headers)
        return answer.status_code, answer.json()["id"], time.monotonic() - start

    with ThreadPoolExecutor(1) as aside:
        crowd = aside.submit(at_once, stack, ask)
        wait_until(lambda: len(stack.rows()) > before, 30, "the first of them waits")
        start = time.monotonic()
        page = stack.client.get("/models/iris/")
        page_seconds = time.monotonic() - start
        assert not crowd.done()
        answers = crowd.result()

    assert page.status_code == 200
    assert page_seconds < SLACK_SECONDS
    assert {status for status, _, _ in answers} == {202}
    assert max(seconds for _, _, seconds in answers) < WAIT_SECONDS + SLACK_SECONDS
    stack["worker"].thaw()
    rows = stack.wait_for_end([prediction_id for _, prediction_id, _ in answers], 30)
    assert {row["state"] for row in rows} == {"succeeded"}
