"""The same thing told twice, or fifty times."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from celery import Celery

from predictions.models import Lane
from predictions.queue.notifications import DRAIN
from tests.chaos.ledger import Asked
from tests.chaos.load import Client
from tests.chaos.scenario import Scene, scenario
from tests.support.stack import Stack

AT_ONCE = 50


def celery_of(stack: Stack) -> Celery:
    """Publishes to the workers of a stack."""
    return Celery(broker=stack.redis_url.replace("unix://", "redis+socket://"), set_as_current=False)


def _five_rings(stack: Stack) -> Callable[[], object]:
    celery = celery_of(stack)

    def ring() -> None:
        for _ in range(5):
            celery.send_task(DRAIN, args=[Lane.INTERACTIVE.value], queue=Lane.INTERACTIVE.value)

    return ring


@scenario("T10", seconds=8, rate=30, on_accepted=_five_rings, in_suite=True)
def rings_come_five_times(scene: Scene) -> None:
    """Each ring is delivered five times more."""
    scene.rest(scene.seconds)


@scenario("T18", seconds=6, quick_seconds=3, rate=20, in_suite=True)
def fifty_ask_the_same_at_once(scene: Scene) -> None:
    """Fifty clients send one row with one Idempotency-Key at the same moment, again and again: one row is kept."""
    clients = [Client(str(scene.stack.client.base_url), scene.ledger) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as callers:
        for _ in scene.beats(1.0):
            number = next(scene.stage.numbers)
            scene.strike()
            told = list(callers.map(lambda client, it=number: client.ask(it, Asked(it)), clients))  # type: ignore[misc]
            scene.check(all(told), "everybody who asks the same is told the same prediction")
    for client in clients:
        client.close()
