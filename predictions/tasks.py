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
from django.db import close_old_connections

from predictions.context import request_id
from predictions.models import Lane
from predictions.models.database import DATABASE_AWAY

logger = logging.getLogger(__name__)


@contextmanager
def _guarded() -> Iterator[None]:
    """For the body of a task: a database connection that works, and no exception that leaves the task.

    A connection that an earlier task has lost is replaced; outside a transaction nobody else does that. An exception is
    logged here, and what was claimed is left to its lease: Celery would end the whole worker for a MemoryError, and
    report any other exception to the main process with the code positions of its traceback, often more than the pipe
    between them holds. At a warm shutdown nobody reads that pipe, and the worker would never end.
    """
    close_old_connections()
    try:
        yield
    except DATABASE_AWAY as error:
        logger.warning("the database does not answer (%s); the task comes again", type(error).__name__)
    except Exception:  # MemoryError is one
        logger.exception("a task failed; its rows are executed again when their lease is over")


@shared_task(name="predictions.drain", ignore_result=True, bind=True)
def drain_lane(self: Task, lane: str) -> None:
    if lane not in Lane.values:
        logger.warning("a message named an unknown lane and was ignored")
        return
    from predictions.worker import drain  # noqa: PLC0415

    request_id.set(self.request.get("request_id", ""))
    with _guarded():
        drain.drain_lane(lane)
        drain.beat(f"{self.request.hostname}/{getattr(current_process(), 'index', 0)}")


@shared_task(name="predictions.examine", ignore_result=True)
def examine(version_id: int) -> None:
    from predictions.worker import preload  # noqa: PLC0415

    with _guarded():
        preload.examine(version_id)


@shared_task(name="predictions.promote", ignore_result=True)
def promote(request_id: int) -> None:
    from predictions.lifecycle import changes  # noqa: PLC0415
    from predictions.worker import preload  # noqa: PLC0415

    with _guarded():
        changes.carry_out(request_id, preload.examine)


@shared_task(name="predictions.compute", ignore_result=True)
def compute(computation_id: int) -> None:
    from predictions.explanations.compute import compute as compute_request  # noqa: PLC0415

    with _guarded():
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
