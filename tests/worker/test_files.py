"""Files: every line is answered once and in order, whatever process dies meanwhile."""

import csv
import io
import os
from typing import Any

import httpx
import psutil

from tests.support.files import GOOD, NAMES, text
from tests.support.stack import Stack
from tests.support.waiting import wait_until

# FILE_ROWS=1000000 for a longer run.
ROWS = int(os.environ.get("FILE_ROWS", 200_000))
SECONDS = 120 + ROWS // 1000


def send(stack: Stack, content: bytes) -> dict[str, Any]:
    files = {"file": ("rows.csv", content, "text/csv")}
    response = stack.client.post("/api/v1/batches/", data={"model": "iris"}, files=files, timeout=SECONDS)
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json()
    return body


def get(job: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = httpx.get(job["urls"]["self"], timeout=30).json()
    return body


def wait_for(job: dict[str, Any], done: int) -> None:
    wait_until(lambda: get(job)["done"] >= done, SECONDS, f"{done} rows are done")


def test_each_line_is_answered_once_and_in_order_although_processes_die(stack: Stack) -> None:
    rows = [[*GOOD, str(n)] for n in range(ROWS)]
    rows[5] = ["x", *GOOD[1:], "5"]
    job = send(stack, text(rows, [*NAMES, "n"]))
    for share in (0.05, 0.2, 0.35, 0.5, 0.65):
        wait_for(job, int(ROWS * share))
        stack["bulk"].kill()
        stack["bulk"].start()
    children = stack["web"].process.children()
    stack["web"].kill()
    psutil.wait_procs(children, SECONDS)
    stack.start("web")
    wait_for(job, int(ROWS * 0.7))
    stack["bulk"].kill_children()
    stack["redis"].kill()
    stack["redis"].start()
    wait_until(lambda: get(job)["status"] not in ("queued", "running"), SECONDS, "the file has ended")
    ended = get(job)
    assert (ended["status"], ended["rows"], ended["good"], ended["bad"]) == ("finished", ROWS, ROWS - 1, 1)
    answered = httpx.get(job["urls"]["results"], timeout=SECONDS).text
    found = [(row["n"], row["prediction"]) for row in csv.DictReader(io.StringIO(answered))]
    assert found == [(str(n), "" if n == 5 else "setosa") for n in range(ROWS)]
    stack.replace_worker("bulk")
