"""Deployments: processes restart under load, and messages come from another release."""

from itertools import cycle

from celery import Celery

from predictions.models import Lane
from predictions.queue.notifications import DRAIN
from tests.chaos.scenario import Scene, scenario
from tests.chaos.scenarios.duplicates import publisher


@scenario("T13", seconds=24, quick_seconds=6)
def rolling_restarts(scene: Scene) -> None:
    """The workers, the keeper and the web server are stopped (SIGTERM) and started in turn."""
    lines = cycle(("worker", "worker-2", "web", "keeper"))
    for _ in scene.every(0.5):
        name = next(lines)
        scene.mark_fault()
        scene.stack[name].terminate()
        scene.stack.start(name)


@scenario("T19", seconds=6, quick_seconds=4)
def messages_of_another_release(scene: Scene) -> None:
    """Workers receive invalid messages: an unknown task, too few or too many arguments, an unknown lane."""
    celery, lane = publisher(scene.stack), Lane.INTERACTIVE.value
    for _ in scene.every(0.5):
        scene.mark_fault()
        _send(celery, "predictions.of_another_release", [lane])
        _send(celery, DRAIN, [])
        _send(celery, DRAIN, [1, lane])
        _send(celery, DRAIN, ["another-lane"])


def _send(celery: Celery, task: str, arguments: list[object]) -> None:
    celery.send_task(task, args=arguments, queue=Lane.INTERACTIVE.value)
