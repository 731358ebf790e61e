"""Workers crash, freeze, or have a wrong clock."""

from pathlib import Path

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LEASE_SECONDS, second_worker

SKEWED = Path(__file__).parent.parent / "skewed"
WORKERS = ("worker", "worker-2")


@scenario("T1", seconds=12, row_seconds=0.05, in_suite=True)
def pool_processes_are_killed(scene: Scene) -> None:
    """Each second a random process of a worker's pool is killed (SIGKILL)."""
    for _ in scene.every(1.0):
        children = scene.stack[scene.random.choice(WORKERS)].process.children()
        if children:
            scene.mark_fault()
            scene.random.choice(children).kill()


@scenario("T2", seconds=15, quick_seconds=6, row_seconds=0.05, in_suite=True)
def workers_are_killed(scene: Scene) -> None:
    """Every 5 s one of the workers is killed with all its processes (SIGKILL) and restarted at once."""
    for turn, _ in enumerate(scene.every(5.0)):
        line = scene.stack[WORKERS[turn % 2]]
        scene.mark_fault()
        line.wipe_out()
        line.start()


@scenario("T9", rate=30, settles=90, in_suite=True)
def frozen_workers_wake_up(scene: Scene) -> None:
    """Both workers are suspended with claimed rows until the leases expire, and then resumed: their late results are
    discarded."""
    first = {number for _ in range(8) if (number := scene.submit(seconds=1.0))}
    scene.wait_until(lambda: _running(scene, first), 30, "a row is running")
    scene.mark_fault()
    for name in WORKERS:
        scene.stack[name].freeze()
    held = _running(scene, first)
    scene.check(held, "a suspended worker has claimed a row")
    scene.wait_until(lambda: not _running(scene, held), LEASE_SECONDS + 20, "the claimed rows are requeued")
    for name in reversed(WORKERS):
        scene.stack[name].thaw()
        scene.pause(1.0)


@scenario("T15", seconds=12)
def clock_is_wrong(scene: Scene) -> None:
    """The clock of one worker is ten minutes fast, then ten minutes slow; leases go by the database's clock."""
    stack = scene.stack
    correct = stack["worker-2"]
    for minutes in (10, -10):
        for name in WORKERS:
            stack[name].terminate()
        skew = {"PYTHONPATH": f"{SKEWED}:{stack.env['PYTHONPATH']}", "CLOCK_SHIFT": str(minutes * 60)}
        wrong = stack.lines["skewed"] = second_worker(stack, **skew)
        scene.mark_fault()
        wrong.start()
        scene.pause(scene.seconds / 4)  # it is the only worker
        stack["worker"].start()
        scene.pause(scene.seconds / 4)
        wrong.terminate()
    correct.start()


def _running(scene: Scene, numbers: set[int]) -> set[int]:
    return {number for number, state in scene.states().items() if state == "running" and number in numbers}
