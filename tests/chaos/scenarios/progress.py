"""Redis answers, but rows make no progress: the fallback worker executes them, and the wrong keys are deleted."""

from contextlib import AbstractContextManager

import psutil

from predictions.models import Lane
from tests.chaos import faults
from tests.chaos.scenario import Scene, scenario
from tests.chaos.scenarios.duplicates import publisher
from tests.chaos.stage import Stage
from tests.support.garbage import GARBAGE
from tests.support.stack import Stack
from tests.support.waiting import wait_until

RECOVERY_SECONDS = 35.0


@scenario("P1", seconds=20, quick_seconds=6, recovers=RECOVERY_SECONDS)
def key_has_a_wrong_type(scene: Scene) -> None:
    """The key of Celery's queue becomes a string again and again: each command on it fails."""
    for _ in scene.every(5.0):
        scene.mark_fault()
        with faults.wrong_type(scene):
            scene.pause(1.0)


@scenario("P2", seconds=20, quick_seconds=6, recovers=RECOVERY_SECONDS)
def marks_are_stale(scene: Scene) -> None:
    """The marks of the workers in Redis lose their expiry, or keep an hour, while the workers are killed."""
    for _ in scene.every(4.0):
        scene.mark_fault()
        with faults.stale_marks(scene), faults.workers_killed(scene):
            scene.pause(1.0)


@scenario("P5", seconds=15, quick_seconds=5, recovers=RECOVERY_SECONDS)
def remote_control_is_ignored(scene: Scene) -> None:
    """Celery's remote control tells the workers to stop consuming, to shrink their pools, to slow down and to end."""
    control = publisher(scene.stack).control
    for _ in scene.every(1.0):
        scene.mark_fault()
        control.cancel_consumer(Lane.INTERACTIVE.value)
        control.pool_shrink(4)
        control.rate_limit("predictions.drain", "1/h")
        control.shutdown()


@scenario("P6", seconds=25, quick_seconds=15, recovers=RECOVERY_SECONDS, settles=90)
def workers_are_frozen(scene: Scene) -> None:
    """All workers are suspended (SIGSTOP) while Redis answers: the fallback worker executes, and /metrics says so."""
    scene.wait_until(lambda: _is_fallback_active(scene, "0.0"), 45, "the workers execute after the scenario before")
    scene.mark_fault()
    with faults.workers_frozen(scene):
        number = scene.submit()
        scene.pause(scene.seconds)
        scene.wait_until(lambda: scene.are_finished([number]), 30, "answered while all workers are frozen")
        scene.check(_is_fallback_active(scene, "1.0"), "/metrics says that the fallback worker executes")


def _is_fallback_active(scene: Scene, value: str) -> bool:
    return f'foretell_fallback_active{{lane="{Lane.INTERACTIVE}"}} {value}' in scene.stack.client.get("/metrics").text


def _without_workers(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack()


@scenario(
    "P7", rate=20, recovers=RECOVERY_SECONDS, settles=90, opens=_without_workers, starts=("redis", "keeper", "web")
)
def keeper_of_a_running_fallback_is_killed(scene: Scene) -> None:
    """There is no worker. The keeper is killed (SIGKILL) while its child executes a row: the child ends with it, and
    the next keeper's child takes the row over."""
    number = scene.submit(seconds=2.0)
    scene.wait_until(lambda: scene.states().get(number or 0) == "running", 40, "the fallback worker has a row")
    keeper = scene.stack["keeper"]
    children = keeper.process.children(recursive=True)
    scene.check(children, "the keeper has a child")
    scene.mark_fault()
    keeper.kill()
    wait_until(lambda: not any(_is_alive(child) for child in children), 5, "the child of the keeper has ended")
    keeper.start()
    scene.wait_until(lambda: scene.are_finished([number]), 60, "the row is finished")


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@scenario("P8", seconds=15, quick_seconds=5, recovers=RECOVERY_SECONDS)
def garbage_is_in_the_queue(scene: Scene) -> None:
    """The queue of Celery gets bytes that are no message, and messages of wrong shapes: no worker ends."""
    before = [scene.stack[name].process for name in faults.WORKERS]
    for _ in scene.every(1.0):
        scene.mark_fault()
        scene.stack.redis.lpush(Lane.INTERACTIVE, *GARBAGE.values())
    scene.check(all(_is_alive(process) for process in before), "no worker has ended")
