"""The worker of files runs only while there is work for it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tests.support.files import GOOD, NAMES, text
from tests.support.stack import Line, Stack
from tests.support.waiting import wait_until

SECONDS = 40


@pytest.fixture(scope="module")
def site(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    with prepare_stack(BULK_IDLE_SECONDS=1.5) as stack:
        stack.start("bulk", "redis", "worker", "keeper", "web")
        wait_until(lambda: is_ready(stack), SECONDS, "it is ready")
        yield stack


def is_ready(stack: Stack) -> bool:
    return bool(stack.client.get("/healthz/ready").json()["status"] == "ready")


def send(stack: Stack, rows: int) -> str:
    """The address of a new file."""
    files = {"file": ("rows.csv", text([GOOD] * rows, NAMES), "text/csv")}
    response = stack.client.post("/api/v1/batches/", data={"model": "iris"}, files=files)
    return str(response.json()["urls"]["self"])


def pool(stack: Stack) -> list[Any]:
    """The processes of the worker, which a process that waits does not have."""
    return stack["bulk"].process.children()


def test_worker_starts_for_a_file_and_ends_when_idle_under_one_process_id(site: Stack) -> None:
    pid = site["bulk"].process.pid
    assert pool(site) == []

    for _ in range(2):
        file = send(site, 3)
        wait_until(lambda file=file: site.client.get(file).json()["status"] == "finished", SECONDS, "it is scored")
        wait_until(lambda: pool(site) == [], SECONDS, "the worker has ended")

    assert site["bulk"].process.pid == pid
    wait_until(lambda: is_ready(site), SECONDS, "it is ready although no worker of files runs")
    site["bulk"].terminate()
    assert "Traceback" not in site["bulk"].log.read_text()


def test_worker_that_is_told_to_end_does_not_wait_for_more_work(site: Stack) -> None:
    site.mend()
    send(site, 50_000)
    wait_until(lambda: pool(site), SECONDS, "the worker has started")

    site["bulk"].terminate(SECONDS)

    assert not site["bulk"].is_running


def test_worker_always_runs_where_the_broker_is_another(site: Stack) -> None:
    line = site["bulk"]
    elsewhere = Line("elsewhere", line.command, {**line.env, "BROKER_URL": "memory://"}, line.log)
    elsewhere.start()
    try:
        wait_until(lambda: elsewhere.process.children(), SECONDS, "the worker has started")
    finally:
        elsewhere.wipe_out()
