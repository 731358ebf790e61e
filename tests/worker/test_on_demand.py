"""The worker of files runs only while there is work for it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.files import GOOD, NAMES, text
from tests.support.stack import Line, Stack
from tests.support.waiting import wait_until

# If the worker is slow to start, the fallback worker takes its lane over and holds it for half a minute.
SECONDS = 120


@pytest.fixture(scope="module")
def site(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    with prepare_stack(BULK_IDLE_SECONDS=1.5) as stack:
        stack.start("bulk", "redis", "worker", "keeper", "web")
        wait_until(lambda: is_ready(stack), SECONDS, "it is ready")
        yield stack


def is_ready(stack: Stack) -> bool:
    return bool(stack.client.get("/healthz/ready").json()["status"] == "ready")


def send(stack: Stack, rows: int) -> str:
    """Upload a file. Returns the address of its job."""
    files = {"file": ("rows.csv", text([GOOD] * rows, NAMES), "text/csv")}
    response = stack.client.post("/api/v1/batches/", data={"model": "iris"}, files=files)
    return str(response.json()["urls"]["self"])


def pool(line: Line) -> list[Any]:
    """The pool processes of the worker. The process that waits for a message has none."""
    return [child for child in line.process.children() if child.name() != "sleep"]


def test_worker_starts_for_a_file_and_ends_when_idle_under_one_process_id(site: Stack) -> None:
    pid = site["bulk"].process.pid
    assert pool(site["bulk"]) == []

    for _ in range(2):
        file = send(site, 3)
        wait_until(lambda file=file: site.client.get(file).json()["status"] == "finished", SECONDS, "it is scored")
        wait_until(lambda: pool(site["bulk"]) == [], SECONDS, "the worker has ended")

    assert site["bulk"].process.pid == pid
    wait_until(lambda: is_ready(site), SECONDS, "it is ready although no worker of files runs")
    site["bulk"].terminate()
    assert "Traceback" not in site["bulk"].log.read_text()


def test_worker_that_is_told_to_end_does_not_wait_for_more_work(site: Stack) -> None:
    site.mend()
    send(site, 50_000)
    wait_until(lambda: pool(site["bulk"]), SECONDS, "the worker has started")

    site["bulk"].terminate(SECONDS)

    assert not site["bulk"].is_running


def test_process_ends_and_begins_again_at_any_time(site: Stack, tmp_path: Path) -> None:
    """A process that waits ends at once. A worker restarts at SIGHUP, and leaves no folder when it ends because it is
    idle."""
    site["bulk"].wipe_out()
    line = Line(
        "another",
        site["bulk"].command,
        {**site.env, "APP": "x", "TMPDIR": str(tmp_path), "REDIS_URL": site.redis_url},
        site["bulk"].log,
    )

    def has_begun() -> bool:
        return "project.on_demand" in line.process.cmdline()

    try:
        line.start()
        wait_until(has_begun, SECONDS, "it waits")
        line.terminate()

        line.start()
        send(site, 3)
        wait_until(lambda: pool(line), SECONDS, "the worker has started")
        line.process.send_signal(signal.SIGHUP)
        wait_until(has_begun, SECONDS, "it has begun again")
        left = set(tmp_path.glob("pymp-*"))  # left by Celery's own restart
        send(site, 3)
        wait_until(lambda: pool(line), SECONDS, "the worker has started again")
        wait_until(has_begun, SECONDS, "the worker has ended because it is idle")
        assert set(tmp_path.glob("pymp-*")) == left
        line.terminate()
    finally:
        line.wipe_out()


def test_worker_always_runs_where_the_broker_is_another(site: Stack) -> None:
    line = site["bulk"]
    elsewhere = Line("elsewhere", line.command, {**line.env, "BROKER_URL": "memory://"}, line.log)
    elsewhere.start()
    try:
        wait_until(lambda: pool(elsewhere), SECONDS, "the worker has started")
    finally:
        elsewhere.wipe_out()
