"""Many concurrent requests to the real processes."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import httpx

from tests.support.stack import Stack
from tests.support.waiting import wait_until

CLIENTS = 50
WAIT_SECONDS = 2
# A busy machine needs some seconds for fifty answers. A request that waited for the worker would never end.
SLACK_SECONDS = 8
ROW = {"x": 3, "seconds": 0}

T = TypeVar("T")


def send_concurrently(stack: Stack, send: Callable[[httpx.Client], T]) -> list[T]:
    """The results of `send` for many clients at the same time, each with its own connection."""

    def one(_: int) -> T:
        with httpx.Client(base_url=stack.client.base_url, timeout=60.0) as client:
            return send(client)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(one, range(CLIENTS)))


def test_concurrent_posts_with_one_key_are_one_prediction(stack: Stack) -> None:
    headers = {"Idempotency-Key": "a crowd", "Prefer": "wait=20"}

    def send(client: httpx.Client, x: int = 3) -> httpx.Response:
        return client.post("/api/v1/models/probe/predictions/", json={"features": {**ROW, "x": x}}, headers=headers)

    answers = send_concurrently(stack, send)

    assert {answer.status_code for answer in answers} <= {200, 202}
    (prediction_id,) = {answer.json()["id"] for answer in answers}
    stack.wait_for_end([prediction_id], 30)
    # A client whose wait ended before the prediction got a 202. A repetition gives all clients the same answer.
    answers = send_concurrently(stack, send)
    assert len({answer.text for answer in answers}) == 1
    assert (answers[0].status_code, answers[0].json()["output"]["value"]) == (200, 7)
    # The key belongs to the address of the callers and to the first row: with another row it is refused.
    (other, *_) = send_concurrently(stack, lambda client: send(client, x=4))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_many_waiting_requests_end_in_time_and_do_not_block_pages(stack: Stack) -> None:
    stack.freeze("worker")
    before = len(stack.rows())

    def send(client: httpx.Client) -> tuple[int, str, float]:
        start = time.monotonic()
        headers = {"Prefer": f"wait={WAIT_SECONDS}"}
        answer = client.post("/api/v1/models/probe/predictions/", json={"features": ROW}, headers=headers)
        return answer.status_code, answer.json()["id"], time.monotonic() - start

    with ThreadPoolExecutor(1) as aside:
        crowd = aside.submit(send_concurrently, stack, send)
        wait_until(lambda: len(stack.rows()) > before, 30, "the first request is accepted")
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
