"""The thread that drives the fallback worker, with a scripted worker."""

import threading
from collections.abc import Iterator

import pytest

from predictions.worker.fallback_worker import FallbackThread, FallbackWorker
from tests.support.waiting import wait_until


class Scripted(FallbackWorker):
    """Returns for each call of a lane the next value of `are_rows_left`, and False when there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.served: list[str] = []
        self.are_rows_left: dict[str, list[bool]] = {}
        self.is_hanging = False
        self.is_stopped = False
        self._killed = threading.Event()

    def serve(self, lane: str) -> bool:
        self.served.append(lane)
        if self.is_hanging:
            assert self._killed.wait(30)
        following = self.are_rows_left.get(lane, [])
        return bool(following) and following.pop(0)

    def kill(self) -> None:
        self._killed.set()

    def stop(self) -> None:
        self.is_stopped = True


@pytest.fixture
def worker() -> Scripted:
    return Scripted()


@pytest.fixture
def thread(worker: Scripted) -> Iterator[FallbackThread]:
    thread = FallbackThread(worker)
    thread.start()
    yield thread
    thread.stop()


def test_lanes_are_served_in_turn_until_nothing_is_left(worker: Scripted, thread: FallbackThread) -> None:
    worker.are_rows_left = {"interactive": [True, True], "bulk": [True]}

    thread.execute(["interactive", "bulk"])

    wait_until(lambda: len(worker.served) == 5, 5, "five slices")
    assert worker.served == ["interactive", "bulk", "interactive", "bulk", "interactive"]


def test_lane_that_is_no_longer_wanted_is_left(worker: Scripted, thread: FallbackThread) -> None:
    worker.are_rows_left = {"interactive": [True] * 1_000_000}
    thread.execute(["interactive"])
    wait_until(lambda: worker.served, 5, "a slice")

    thread.execute(["bulk"])
    wait_until(lambda: "bulk" in worker.served, 5, "a slice of the other lane")
    count = len(worker.served)
    thread.execute(["bulk"])
    wait_until(lambda: len(worker.served) > count, 5, "another slice")

    assert set(worker.served[worker.served.index("bulk") :]) == {"bulk"}


def test_execute_returns_while_a_call_hangs(worker: Scripted, thread: FallbackThread) -> None:
    worker.is_hanging = True
    thread.execute(["interactive"])
    wait_until(lambda: worker.served, 5, "the call has begun")

    thread.execute(["interactive", "bulk"])

    assert worker.served == ["interactive"]


def test_stop_ends_a_call_that_hangs_and_the_child(worker: Scripted, thread: FallbackThread) -> None:
    worker.is_hanging = True
    thread.execute(["interactive"])
    wait_until(lambda: worker.served, 5, "the call has begun")

    thread.stop()

    assert worker.is_stopped
    assert not [one for one in threading.enumerate() if one.name == "fallback"]


def test_idle_child_is_stopped(worker: Scripted, thread: FallbackThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.worker.fallback_worker.IDLE_SECONDS", 0.01)

    thread.execute(["interactive"])

    wait_until(lambda: worker.is_stopped, 5, "the child is stopped")
    thread.execute(["bulk"])
    wait_until(lambda: worker.served == ["interactive", "bulk"], 5, "it is started again")
