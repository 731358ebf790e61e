"""The process boundary. The web publishes these tasks by name; only a worker runs their bodies.

The imports inside the functions are the point of this file: with them the web never loads an estimator's libraries.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from billiard.process import current_process
from celery import Task, shared_task
from celery.signals import worker_init, worker_process_init
from celery.worker import WorkController

from predictions.context import request_id
from predictions.models import Lane

logger = logging.getLogger(__name__)


class OutOfMemory(Exception):
    """An estimator asked for more memory than there is. The claim is left to its lease."""


@contextmanager
def _sparing_the_worker() -> Iterator[None]:
    """A MemoryError of a task would end the whole worker: Celery takes it for one of the main process."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(str(error)) from None


@shared_task(name="predictions.drain", ignore_result=True, bind=True)
def drain_lane(self: Task, lane: str) -> None:
    if lane not in Lane.values:
        logger.warning("a message named an unknown lane and was ignored")
        return
    from predictions.worker import drain  # noqa: PLC0415

    request_id.set(self.request.get("request_id", ""))
    with _sparing_the_worker():
        drain.drain_lane(lane)
    drain.beat(f"{self.request.hostname}/{getattr(current_process(), 'index', 0)}")


@shared_task(name="predictions.examine", ignore_result=True)
def examine(version_id: int) -> None:
    from predictions.worker import preload  # noqa: PLC0415

    with _sparing_the_worker():
        preload.examine(version_id)


@shared_task(name="predictions.promote", ignore_result=True)
def promote(request_id: int) -> None:
    from predictions.lifecycle import changes  # noqa: PLC0415
    from predictions.worker import preload  # noqa: PLC0415

    with _sparing_the_worker():
        changes.carry_out(request_id, preload.examine)


@shared_task(name="predictions.compute", ignore_result=True)
def compute(computation_id: int) -> None:
    from predictions.explanations.compute import compute as compute_request  # noqa: PLC0415

    with _sparing_the_worker():
        compute_request(computation_id)


@worker_init.connect
def prepare(sender: WorkController, **_: object) -> None:
    """Before the pool forks. Only the lane where people wait loads its versions ahead of the first prediction."""
    from predictions.worker import preload  # noqa: PLC0415

    preload.relax_durability()
    if Lane.INTERACTIVE in sender.app.amqp.queues.consume_from:
        preload.load_champions()
        worker_process_init.connect(prepare_child, weak=False)


def prepare_child(**_: object) -> None:
    """After each fork of the pool, also when a killed child is replaced."""
    from predictions.worker import preload  # noqa: PLC0415

    preload.load_champions_of_a_child()
