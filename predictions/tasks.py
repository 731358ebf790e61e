"""The Celery tasks. Web processes publish them by name; only workers run their bodies.

The functions import what they need when they run. So a process that imports this file loads no library of an estimator.
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
    """Replace a broken database connection before a task, and log its exceptions instead of raising them.

    Django replaces a broken connection only at the end of a transaction, and a task may fail outside one.

    Celery ends the whole worker if a task raises MemoryError. It sends any other exception to the main process through
    a pipe. The message is often larger than the buffer of the pipe. During a warm shutdown the main process does not
    read the pipe, so the child process would block and the worker would not exit.
    """
    close_old_connections()
    try:
        yield
    except DATABASE_AWAY as error:
        logger.warning("a task ended early: the database does not answer (%s)", type(error).__name__)
    except Exception:  # MemoryError too
        logger.exception("a task failed; rows that it has claimed are executed again after their lease")


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
    """Celery calls this before the pool forks. Only a worker of the interactive lane loads its versions in advance."""
    from predictions.worker import preload  # noqa: PLC0415

    preload.relax_durability()
    if Lane.INTERACTIVE in sender.app.amqp.queues.consume_from:
        preload.load_champions()
        worker_process_init.connect(prepare_child, weak=False)
    preload.share_memory()


def prepare_child(**_: object) -> None:
    """Celery calls this in each child of the pool, also in one that replaces a killed child."""
    from predictions.worker import preload  # noqa: PLC0415

    preload.load_champions_of_a_child()
