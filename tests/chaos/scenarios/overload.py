"""Ten times what can be served."""

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

# One row for each predict call, and four processes: what can be served is known.
ROW_SECONDS = 0.1
SERVED_PER_SECOND = 4 / ROW_SECONDS
WAITING = 200
DEADLINE_SECONDS = 60
# What is held for the requests and rows under way; a leak at such rates would be larger.
GROWTH_MEGABYTES = 200
NORMAL_SECONDS = 30


def _narrow(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(
        MICRO_BATCH=1, MAX_QUEUED=WAITING, MAX_QUEUED_PER_CALLER=WAITING, PREDICTION_SECONDS=DEADLINE_SECONDS
    )


@scenario(
    "overload", seconds=120, quick_seconds=6, rate=10 * SERVED_PER_SECOND, row_seconds=ROW_SECONDS, threads=24,
    insists=False, refuses=True, opens=_narrow, settles=NORMAL_SECONDS,
)  # fmt: skip
def ten_times_too_many_ask(scene: Scene) -> None:
    """Ten times as many rows as can be served, one of 0.1 s for each predict call: what is too much is refused with a
    time to come back, what is accepted keeps its deadline, memory stays bounded, pages answer, and half a minute later
    all is as before."""
    before = memory_megabytes(scene.stack)
    with _visitor(scene.stack) as page_seconds:
        scene.strike()
        peaks = [memory_megabytes(scene.stack) for _ in scene.beats(1.0)]
    asked, accepted = len(scene.ledger.asked), len(scene.ledger.accepted)
    scene.notes.append(
        f"{asked} asked, {accepted} accepted, {scene.ledger.refused} refused; memory (PSS of all lines) {before:.0f} MB"
        f" before, {max(peaks):.0f} MB at most; a page took {statistics.median(page_seconds):.2f} s in the middle,"
        f" {max(page_seconds):.2f} s at most"
    )
    scene.check(scene.ledger.refused, "what is too much is refused")
    scene.check(max(peaks) < before + GROWTH_MEGABYTES, f"memory grows by less than {GROWTH_MEGABYTES} MB")
    scene.check(max(page_seconds) < 5 * scene.stage.patience, "a page answers within 5 s")


@contextmanager
def _visitor(stack: Stack) -> Iterator[list[float]]:
    """Somebody who looks at a page each second meanwhile; infinity is a page that did not come."""
    seconds: list[float] = []
    gone = threading.Event()

    def look() -> None:
        with httpx.Client(base_url=stack.client.base_url, timeout=30.0) as client:
            while not gone.wait(1.0):
                start = time.monotonic()
                try:
                    came = client.get("/models/probe/").status_code == 200
                except httpx.TransportError:
                    came = False
                seconds.append(time.monotonic() - start if came else float("inf"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seconds
    finally:
        gone.set()
        thread.join()


def memory_megabytes(stack: Stack) -> float:
    """The proportional set sizes of all processes together: what is shared counts once."""
    mains = [line.process for line in stack.lines.values() if line.is_running]
    total = 0
    for process in [*mains, *(child for main in mains for child in main.children(recursive=True))]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 2**20
