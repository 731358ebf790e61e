"""A process that executes while no worker can be reached.

It is a child of the keeper and not the keeper itself, which has to outlive whatever an estimator does: abort, hang, or
eat all memory.
"""

import logging
import multiprocessing
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from django.conf import settings

logger = logging.getLogger(__name__)

# The child has imported its libraries within this, or the machine is in trouble. A busy machine may need more for that
# than a predict call may take.
START_SECONDS = 60.0

# Forking would copy the keeper's database connection and whatever threads it has.
_context = multiprocessing.get_context("spawn")


class FallbackWorker:
    """Started at the first need, kept while it is well, replaced when it is not."""

    def __init__(self) -> None:
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None

    def serve(self, lane: str) -> bool:
        """Execute the queued rows of a lane, for one slice.

        False if the child crashed or exceeded the time limit; it is restarted on the next call.
        """
        try:
            pipe = self._ready()
            pipe.send(lane)
            # The limit is that of a worker: past it a claim's lease runs out anyway.
            if pipe.poll(settings.CELERY_TASK_TIME_LIMIT):
                pipe.recv()
                return True
        except (EOFError, OSError):
            pass
        logger.warning("the fallback worker crashed or exceeded its time on the lane %s", lane)
        self.stop()
        return False

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None

    def _ready(self) -> Connection:
        if self._child is None or self._pipe is None or not self._child.is_alive():
            self._pipe, theirs = _context.Pipe()
            self._child = _context.Process(target=_run, args=(theirs,), name="fallback", daemon=True)
            self._child.start()
            theirs.close()
            if not self._pipe.poll(START_SECONDS):
                raise TimeoutError
            self._pipe.recv()
        return self._pipe


def _run(pipe: Connection) -> None:
    """The child's life: it ends when the keeper closes the pipe, or is no more."""
    import django  # noqa: PLC0415

    django.setup()
    from predictions.worker import drain, preload  # noqa: PLC0415 - the scientific stack, in the child only

    preload.use_worker_pragmas()

    pipe.send(True)
    while True:
        try:
            lane = pipe.recv()
        except EOFError:
            return
        drain.serve(lane, time.monotonic() + drain.SLICE_SECONDS)
        pipe.send(True)
