"""A process that executes predictions while the workers make no progress.

It is a child of the maintenance process, which must survive an estimator that aborts, hangs, or uses up the memory.
It ends with the maintenance process.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from django.conf import settings

logger = logging.getLogger(__name__)

# Within this time, a child must import its libraries and load the versions of queued rows. On a busy machine that may
# take longer than a predict call may.
START_SECONDS = 60.0
# An unused child keeps the memory of its estimators no longer than this.
IDLE_SECONDS = 120.0

# From prctl(2): the signal that a process gets when the thread that created it ends.
PR_SET_PDEATHSIG = 1

# Forking would copy the database connections and threads of the maintenance process.
_context = multiprocessing.get_context("spawn")


class FallbackWorker:
    """The child process. It is started when it is first needed, and replaced when it crashes or hangs.

    The child ends with the thread that called `serve` first: call it from one thread, which lives as long as the child
    is needed.
    """

    def __init__(self) -> None:
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def serve(self, lane: str) -> bool:
        """Execute the queued rows of a lane, for one slice of time. True if rows may be left.

        False if nothing is left, or if the child crashed or exceeded the time limit; the next call restarts it.
        """
        try:
            pipe = self._ready()
            pipe.send(lane)
            # The limit is that of a worker: past it a claim's lease runs out anyway.
            if pipe.poll(settings.CELERY_TASK_TIME_LIMIT):
                return not pipe.recv()
        except (EOFError, OSError):
            pass
        logger.warning("the fallback worker crashed or exceeded its time on the lane %s", lane)
        self.stop()
        return False

    def stop(self) -> None:
        self.kill()
        if self._child is not None:
            self._child.join()
        self._child = self._pipe = None

    def kill(self) -> None:
        """End the child. Another thread may call it: a `serve` that is under way then returns."""
        if (child := self._child) is not None:
            child.kill()

    def _ready(self) -> Connection:
        if self._child is None or self._pipe is None or not self._child.is_alive():
            self._pipe, theirs = _context.Pipe()
            child = _context.Process(target=_run, args=(theirs, os.getpid()), name="fallback", daemon=True)
            child.start()
            self._child = child
            theirs.close()
            if not self._pipe.poll(START_SECONDS):
                raise TimeoutError
            self._pipe.recv()
        return self._pipe


class FallbackThread:
    """Drives the fallback worker, so that a slow predict call delays no job of the maintenance process.

    It is not a daemon thread, and the child lives no longer than this thread.
    """

    def __init__(self, worker: FallbackWorker) -> None:
        self._worker = worker
        self._changed = threading.Condition()
        self._wanted: frozenset[str] = frozenset()
        self._next_lanes: list[str] = []
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="fallback", daemon=False)

    def start(self) -> None:
        self._thread.start()

    def execute(self, lanes: list[str]) -> None:
        """Execute these lanes in turn until they have no queued rows. They replace the lanes of the last call."""
        with self._changed:
            self._wanted = frozenset(lanes)
            self._next_lanes = list(lanes)
            self._changed.notify()

    def stop(self) -> None:
        """End the thread and the child, even in the middle of a predict call."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        while self._thread.is_alive():
            # More than once: the thread may just have started a child.
            self._worker.kill()
            self._thread.join(0.2)

    def _run(self) -> None:
        try:
            while not self._is_stopped:
                if lane := self._next():
                    self._serve(lane)
                elif not self._is_stopped:
                    self._worker.stop()
        finally:
            self._worker.stop()

    def _next(self) -> str | None:
        """Wait for a lane; None when the thread is stopped or was idle for long."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._next_lanes, IDLE_SECONDS)
            return self._next_lanes.pop(0) if self._next_lanes and not self._is_stopped else None

    def _serve(self, lane: str) -> None:
        are_rows_left = self._worker.serve(lane)
        with self._changed:
            if are_rows_left and lane in self._wanted and lane not in self._next_lanes:
                self._next_lanes.append(lane)


def _run(pipe: Connection, parent: int) -> None:
    """The main function of the child, which ends with its parent, even in the middle of a predict call."""
    _end_with(parent)
    import django  # noqa: PLC0415

    django.setup()
    from predictions.worker import drain, preload  # noqa: PLC0415 - the scientific stack, in the child only

    preload.relax_durability()
    preload.load_awaited()
    pipe.send(True)
    while True:
        try:
            lane = pipe.recv()
        except EOFError:
            return
        pipe.send(drain.serve(lane, time.monotonic() + drain.SLICE_SECONDS))


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; elsewhere than on Linux the closed pipe ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the line above
        os._exit(1)
