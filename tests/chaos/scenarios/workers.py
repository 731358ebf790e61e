"""Workers die, freeze, or have a wrong clock."""

from pathlib import Path

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LEASE_SECONDS, relief

SKEWED = Path(__file__).parent.parent / "skewed"
WORKERS = ("worker", "relief")


@scenario("T1", seconds=12, row_seconds=0.05, in_suite=True)
def pool_children_die(scene: Scene) -> None:
    """SIGKILL for a random process of a worker's pool, each second."""
    for _ in scene.beats(1.0):
        children = scene.stack[scene.random.choice(WORKERS)].process.children()
        if children:
            scene.strike()
            scene.random.choice(children).kill()


@scenario("T2", seconds=15, quick_seconds=6, row_seconds=0.05, in_suite=True)
def workers_die(scene: Scene) -> None:
    """SIGKILL for a whole worker with all its processes, in turn, every 5 s; each is started again at once."""
    for turn, _ in enumerate(scene.beats(5.0)):
        line = scene.stack[WORKERS[turn % 2]]
        scene.strike()
        line.wipe_out()
        line.start()


@scenario("T9", rate=30, settles=90, in_suite=True)
def frozen_workers_wake_up(scene: Scene) -> None:
    """Both workers are frozen with rows in hand until their leases are over, and then woken: what they settle late is
    refused."""
    first = {number for _ in range(8) if (number := scene.ask(seconds=1.0))}
    scene.wait_until(lambda: _running(scene, first), 30, "a row runs")
    scene.strike()
    for name in WORKERS:
        scene.stack[name].freeze()
    held = _running(scene, first)
    scene.check(held, "a worker was frozen with a row in hand")
    scene.wait_until(lambda: not _running(scene, held), LEASE_SECONDS + 20, "what they had is given back")
    for name in reversed(WORKERS):
        scene.stack[name].thaw()
        scene.rest(1.0)


@scenario("T15", seconds=12)
def clock_is_wrong(scene: Scene) -> None:
    """The clock of one worker is ten minutes fast, then ten minutes slow; leases go by the database's clock."""
    stack = scene.stack
    right = stack["relief"]
    for minutes in (10, -10):
        for name in WORKERS:
            stack[name].terminate()
        skew = {"PYTHONPATH": f"{SKEWED}:{stack.env['PYTHONPATH']}", "CLOCK_SHIFT": str(minutes * 60)}
        wrong = stack.lines["skewed"] = relief(stack, **skew)
        scene.strike()
        wrong.start()
        scene.rest(scene.seconds / 4)  # it is alone
        stack["worker"].start()
        scene.rest(scene.seconds / 4)
        wrong.terminate()
    right.start()


def _running(scene: Scene, numbers: set[int]) -> set[int]:
    return {number for number, state in scene.states().items() if state == "running" and number in numbers}
