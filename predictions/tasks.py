"""The process boundary. The web publishes these tasks by name; only a worker runs their bodies.

The imports inside the functions are the point of this file: with them the web never loads an estimator's libraries.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from billiard.process import current_process
from celery import Task, shared_task
from celery.signals import worker_init
from celery.worker import WorkController

from predictions.context import request_id
from predictions.models import Lane


class OutOfMemory(Exception):
    """An estimator asked for more memory than there is. The claim is left to its lease."""


@contextmanager
def _sparing_the_worker() -> Iterator[None]:
    """A MemoryError of a task would end the whole worker: Celery takes it for one of the main process."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(str(error)) from None


@shared_task(name="predictions.serve", ignore_result=True, bind=True)
def serve(self: Task, version_id: int, lane: str) -> None:
    from predictions.worker import drain  # noqa: PLC0415

    request_id.set(self.request.get("request_id", ""))
    with _sparing_the_worker():
        drain.drain_lane(version_id, lane)
    drain.beat(f"{self.request.hostname}/{getattr(current_process(), 'index', 0)}")


@shared_task(name="predictions.examine", ignore_result=True)
def examine(version_id: int) -> None:
    from predictions.worker import drain  # noqa: PLC0415

    with _sparing_the_worker():
        drain.examine(version_id)


@worker_init.connect
def prepare(sender: WorkController, **_: object) -> None:
    """Where people wait, before the pool forks. The lane of files loads what a file needs."""
    if Lane.INTERACTIVE not in sender.app.amqp.queues.consume_from:
        return
    from predictions.worker import drain  # noqa: PLC0415

    drain.prepare()
