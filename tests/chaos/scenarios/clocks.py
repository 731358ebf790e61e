"""Wrong clocks of hosts. The times that decide are the database's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.scenario import NotRunnable, Scene, scenario
from tests.chaos.stage import Stage
from tests.support.stack import Line, Stack

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")
JUMPS = ("-600", "+600", "+0")  # seconds
RECOVERY_SECONDS = 35.0
SKEWED_WEB = Path(__file__).parent.parent / "skewed_web"


def _faked(line: Line, clock: Path) -> Line:
    """The same process under libfaketime: the shift in the file `clock` is added to all clocks but the monotonic one.

    Raises:
        NotRunnable: libfaketime is not installed.
    """
    library = next((path for name in LIBRARIES for path in Path("/").glob(name[1:])), None)
    if library is None:
        raise NotRunnable("libfaketime is not installed")
    clock.write_text("+0")
    fake = {
        "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1,
        "FAKETIME_DONT_FAKE_MONOTONIC": 1,
    }  # fmt: skip
    exports = "".join(f"export {name}={value}; " for name, value in fake.items())
    return Line(line.name, exports + line.command, line.env, line.log)


def _set(clock: Path, shift: str) -> None:
    incoming = clock.with_suffix(".new")
    incoming.write_text(shift)
    incoming.replace(clock)


@contextmanager
def _redis_with_a_clock(stage: Stage) -> Iterator[Stack]:
    with stage.stack() as stack:
        stack.lines["redis"] = _faked(stack["redis"], stack.var_dir / "redis-clock")
        yield stack


@scenario("P3", seconds=18, quick_seconds=9, opens=_redis_with_a_clock, recovers=RECOVERY_SECONDS)
def clock_of_redis_jumps(scene: Scene) -> None:
    """The clock of Redis jumps ten minutes back, then forward: marks expire too late, or at once."""
    for shift in JUMPS:
        scene.mark_fault()
        before = scene.stack.redis.time()[0]
        _set(scene.stack.var_dir / "redis-clock", shift)
        scene.check(abs(scene.stack.redis.time()[0] - before) > 300, "the clock of Redis has jumped")
        scene.pause(scene.seconds / len(JUMPS))


@contextmanager
def _web_with_a_clock(stage: Stage) -> Iterator[Stack]:
    with stage.stack() as stack:
        web = stack["web"]
        skew = {"PYTHONPATH": f"{SKEWED_WEB}:{web.env['PYTHONPATH']}", "CLOCK_SHIFT": "-150"}
        stack.lines["web"] = Line(web.name, web.command, {**web.env, **skew}, web.log)
        yield stack


@scenario("P4", seconds=10, opens=_web_with_a_clock, recovers=RECOVERY_SECONDS)
def clock_of_the_web_server_is_wrong(scene: Scene) -> None:
    """The clock of the web server is 150 s slow, and a row may take 180 s, of which 30 s would be left: no row expires,
    and the times of each row are in order."""
    scene.mark_fault()
    scene.pause(scene.seconds)
    ages = scene.stack.query(
        "SELECT count(*) AS n FROM predictions_prediction WHERE started_at < created_at OR finished_at < started_at"
    )
    scene.check(ages[0]["n"] == 0, "the times of a row are in order")
