"""Releases: lines are asked to end while people ask, and messages come from another release."""

from itertools import cycle

from celery import Celery

from predictions.models import Lane
from predictions.queue.notifications import DRAIN
from tests.chaos.scenario import Scene, scenario
from tests.chaos.scenarios.rings import celery_of


@scenario("T13", seconds=24, quick_seconds=6)
def lines_are_restarted(scene: Scene) -> None:
    """SIGTERM for one line after another, and its start: the workers, the keeper, the web."""
    lines = cycle(("worker", "relief", "web", "keeper"))
    for _ in scene.beats(0.5):
        name = next(lines)
        scene.strike()
        scene.stack[name].terminate()
        scene.stack.start(name)


@scenario("T19", seconds=6, quick_seconds=4)
def messages_of_another_release(scene: Scene) -> None:
    """Workers get messages that they do not know: another task, too few or too many arguments, an unknown lane."""
    celery, lane = celery_of(scene.stack), Lane.INTERACTIVE.value
    for _ in scene.beats(0.5):
        scene.strike()
        _send(celery, "predictions.of_another_release", [lane])
        _send(celery, DRAIN, [])
        _send(celery, DRAIN, [1, lane])
        _send(celery, DRAIN, ["another-lane"])


def _send(celery: Celery, task: str, arguments: list[object]) -> None:
    celery.send_task(task, args=arguments, queue=Lane.INTERACTIVE.value)
