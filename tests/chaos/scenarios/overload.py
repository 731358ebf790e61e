"""Ten times as many rows as the workers can predict."""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import psutil

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import Stage
from tests.support.stack import Stack
from tests.support.waiting import wait_until

# One row per predict call and four processes: this gives the capacity.
ROW_SECONDS = 0.1
CAPACITY_PER_SECOND = 4 / ROW_SECONDS
WAITING = 200
DEADLINE_SECONDS = 60
# Memory for requests and rows in progress, once each process has worked. A leak at this rate would exceed it.
GROWTH_MEGABYTES = 100
SETTLE_SECONDS = 30


def _limited(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(
        MICRO_BATCH=1, MAX_QUEUED=WAITING, MAX_QUEUED_PER_CALLER=WAITING, PREDICTION_SECONDS=DEADLINE_SECONDS
    )


@scenario(
    "overload", seconds=120, quick_seconds=6, rate=10 * CAPACITY_PER_SECOND, row_seconds=ROW_SECONDS, threads=24,
    insists=False, refuses=True, opens=_limited, settles=SETTLE_SECONDS,
)  # fmt: skip
def tenfold_overload(scene: Scene) -> None:
    """Clients submit ten times as many rows as the workers can predict. Excess rows are refused with Retry-After.
    Accepted rows keep their deadline, memory stays bounded, pages respond, and half a minute later all rows are
    finished."""
    # The keeper starts after the other processes. Its memory must not count as growth.
    wait_until(lambda: _has_keeper_started(scene.stack), SETTLE_SECONDS, "the keeper has started")
    with _page_visitor(scene.stack) as page_seconds:
        scene.mark_fault()
        used = [memory_megabytes(scene.stack) for _ in scene.every(1.0)]
    # In the first third of the time the pool processes load the version.
    warm, most = used[len(used) // 3], max(used)
    submitted, accepted = len(scene.ledger.submitted), len(scene.ledger.accepted)
    scene.notes.append(
        f"{submitted} submitted, {accepted} accepted, {scene.ledger.refused} refused; memory (PSS of all processes)"
        f" {warm:.0f} MB after a third of the time, {most:.0f} MB at most; seconds of a page:"
        f" {statistics.median(page_seconds):.2f} in the median, {max(page_seconds):.2f} at most"
    )
    scene.check(scene.ledger.refused, "excess rows are refused")
    scene.check(most < warm + GROWTH_MEGABYTES, f"memory grows by less than {GROWTH_MEGABYTES} MB")
    scene.check(max(page_seconds) < 5 * scene.stage.time_factor, "a page responds within 5 s")


def _has_keeper_started(stack: Stack) -> bool:
    return stack.client.get("/healthz/ready").json()["keeper_seconds"] is not None


@contextmanager
def _page_visitor(stack: Stack) -> Iterator[list[float]]:
    """Fetch a page each second in a thread. Yields the durations; a failed request is infinity."""
    seconds: list[float] = []
    stopped = threading.Event()

    def visit() -> None:
        with httpx.Client(base_url=stack.client.base_url, timeout=30.0) as client:
            while not stopped.wait(1.0):
                start = time.monotonic()
                try:
                    is_ok = client.get("/models/probe/").status_code == 200
                except httpx.TransportError:
                    is_ok = False
                seconds.append(time.monotonic() - start if is_ok else float("inf"))

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield seconds
    finally:
        stopped.set()
        thread.join()


def memory_megabytes(stack: Stack) -> float:
    """The sum of the proportional set sizes of all processes: shared pages count once."""
    mains = [line.process for line in stack.lines.values() if line.is_running]
    total = 0
    for process in [*mains, *(child for main in mains for child in main.children(recursive=True))]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
