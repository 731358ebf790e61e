"""Wrong clocks of hosts. The times that decide are the database's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.scenario import NotRunnable, Scene, scenario
from tests.chaos.scenarios.workers import SKEWED
from tests.chaos.stage import Stage
from tests.support.stack import Line, Stack

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")
JUMPS = ("-600", "+600", "+0")
RECOVERY_SECONDS = 35.0


@contextmanager
def _redis_with_a_clock(stage: Stage) -> Iterator[Stack]:
    """A stack whose Redis reads its clock through libfaketime, from a file."""
    library = next((path for name in LIBRARIES for path in Path("/").glob(name[1:])), None)
    if library is None:
        raise NotRunnable("libfaketime is not installed")
    with stage.stack() as stack:
        shift = stack.var_dir / "redis-clock"
        shift.write_text("+0")
        fake = {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }  # fmt: skip
        command = f"exec env {' '.join(f'{name}={value}' for name, value in fake.items())} {stack['redis'].command}"
        stack.lines["redis"] = Line("redis", command, stack.env, stack["redis"].log)
        yield stack


@scenario("P3", seconds=18, quick_seconds=9, opens=_redis_with_a_clock, recovers=RECOVERY_SECONDS)
def clock_of_redis_jumps(scene: Scene) -> None:
    """The clock of Redis jumps ten minutes back, then forward: marks expire too late, or at once."""
    for shift in JUMPS:
        scene.mark_fault()
        clock = scene.stack.var_dir / "redis-clock"
        incoming = clock.with_suffix(".new")
        incoming.write_text(shift)
        incoming.replace(clock)
        seconds = scene.stack.redis.time()[0]
        scene.notes.append(f"the time of Redis after {shift}: {seconds}")
        scene.pause(scene.seconds / len(JUMPS))


@contextmanager
def _web_with_a_clock(stage: Stage) -> Iterator[Stack]:
    """A stack whose web server is 150 s slow."""
    with stage.stack() as stack:
        skew = {"PYTHONPATH": f"{SKEWED}:{stack.env['PYTHONPATH']}", "CLOCK_SHIFT": "-150"}
        web = stack["web"]
        stack.lines["web"] = Line("web", web.command, {**stack.env, **skew}, web.log)
        yield stack


@scenario("P4", seconds=10, opens=_web_with_a_clock, recovers=RECOVERY_SECONDS)
def clock_of_the_web_server_is_wrong(scene: Scene) -> None:
    """The clock of the web server is 150 s slow, and a row may take 180 s: no row expires, and ages are right."""
    scene.mark_fault()
    scene.pause(scene.seconds)
    ages = scene.stack.query(
        "SELECT count(*) AS n FROM predictions_prediction WHERE started_at < created_at OR finished_at < started_at"
    )
    scene.check(ages[0]["n"] == 0, "the times of a row are in order")
