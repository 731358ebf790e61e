"""Duplicate messages and duplicate requests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from celery import Celery

from predictions.models import Lane
from predictions.queue.notifications import DRAIN
from tests.chaos.ledger import Submission
from tests.chaos.load import Client
from tests.chaos.scenario import Scene, scenario
from tests.support.stack import Stack

CLIENTS = 50


def publisher(stack: Stack) -> Celery:
    """A Celery application that publishes to the workers of a stack."""
    return Celery(broker=stack.redis_url.replace("unix://", "redis+socket://"), set_as_current=False)


def _five_more_messages(stack: Stack) -> Callable[[], object]:
    celery = publisher(stack)

    def publish() -> None:
        for _ in range(5):
            celery.send_task(DRAIN, args=[Lane.INTERACTIVE.value], queue=Lane.INTERACTIVE.value)

    return publish


@scenario("T10", seconds=8, rate=30, on_accepted=_five_more_messages, in_suite=True)
def duplicate_notifications(scene: Scene) -> None:
    """Each notification of the workers is delivered five more times."""
    scene.pause(scene.seconds)


@scenario("T18", seconds=6, quick_seconds=3, rate=20, in_suite=True)
def concurrent_identical_requests(scene: Scene) -> None:
    """Again and again, fifty clients send one row with one Idempotency-Key at the same time: one row is stored."""
    clients = [Client(str(scene.stack.client.base_url), scene.ledger) for _ in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as callers:
        for _ in scene.every(1.0):
            number = next(scene.stage.numbers)
            scene.mark_fault()
            accepted = list(callers.map(lambda client, it=number: client.submit(it, Submission(it)), clients))  # type: ignore[misc]
            scene.check(all(accepted), "all clients with one key are accepted")
    for client in clients:
        client.close()
