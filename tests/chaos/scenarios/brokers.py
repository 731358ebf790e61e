"""Redis dies, freezes, forgets, is full, is slow, or was never there. No request waits for it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from predictions.queue.redis_client import COMMAND_SECONDS
from project.dev_redis import embedded_url
from tests.chaos.proxy import before
from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LINES, Stage, postgres_folder, relief
from tests.support.stack import Line, Stack, procfile

# A command and its repetition may each take COMMAND_SECONDS; the rest is the request's own.
LONGEST = 2 * COMMAND_SECONDS + 0.5


@scenario("T3", seconds=14, quick_seconds=6, longest=LONGEST, in_suite=True)
def redis_dies(scene: Scene) -> None:
    """SIGKILL for Redis; it is away for 3 s, comes back, and dies again 3 s later."""
    for _ in scene.beats(3.0):
        scene.strike()
        scene.stack["redis"].kill()
        scene.rest(3.0)
        scene.stack["redis"].start()


@scenario("T4", seconds=8, in_suite=True)
def redis_forgets(scene: Scene) -> None:
    """FLUSHALL every second: bells, signs and messages are gone."""
    for _ in scene.beats(1.0):
        scene.strike()
        scene.stack.redis.flushall()


@scenario("T5", seconds=10, quick_seconds=6, longest=LONGEST, in_suite=True)
def redis_freezes(scene: Scene) -> None:
    """SIGSTOP for Redis: connections stay open, and nothing answers."""
    scene.strike()
    scene.stack["redis"].freeze()
    scene.rest(scene.seconds)
    scene.stack["redis"].thaw()


@scenario("T6", seconds=8, longest=LONGEST)
def redis_is_full(scene: Scene) -> None:
    """Redis is at `maxmemory`, and refuses every write: the keeper executes."""
    scene.strike()
    scene.stack.redis.config_set("maxmemory", 1)
    try:
        first = scene.ask()
        scene.rest(scene.seconds)
        scene.wait_until(lambda: scene.have_ended([first]), 30, "answered while Redis is full")
    finally:
        scene.stack.redis.config_set("maxmemory", 0)


def _another(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack()


@scenario("T7", seconds=10, longest=LONGEST, opens=_another, starts=tuple(name for name in LINES if name != "redis"))
def redis_never_comes(scene: Scene) -> None:
    """There is no Redis from the start to the end: the keeper executes."""
    scene.rest(scene.seconds)


@contextmanager
def _behind_proxies(stage: Stage) -> Iterator[Stack]:
    """Proxies stand before Redis, and before PostgreSQL."""
    with stage.stack() as stack, ExitStack() as proxies:
        own = {**stack.env, "REDIS_URL": ""}
        stack.lines["redis"] = Line("redis", procfile()["redis"], own, stack["redis"].log)
        socket = Path(embedded_url(stack.var_dir).removeprefix("unix://"))
        redis = stage.proxies["redis"] = proxies.enter_context(before(socket))
        stack.env["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
        if stage.database == "postgres":
            database = proxies.enter_context(before(postgres_folder(stack.database_url) / ".s.PGSQL.5432"))
            stage.proxies["database"] = database
            name = stack.database_url.rpartition("/")[2]
            stack.env["DATABASE_URL"] = f"postgres://foretell@127.0.0.1:{database.port}/{name}"
        stack.lines["relief"] = relief(stack)
        yield stack


@scenario("T3, T5", seconds=5, opens=_behind_proxies, longest=LONGEST)
def network_to_redis_fails(scene: Scene) -> None:
    """A proxy before Redis: everything 20 ms late, then a black hole, then all connections cut, again and again."""
    redis = scene.stage.proxies["redis"]
    for fault in (redis.slow(0.02), redis.silent(), redis.cut()):
        scene.strike()
        with fault:
            scene.rest(scene.seconds)
        scene.rest(2.0)


@scenario(
    "T8", seconds=8, opens=_behind_proxies, longest=5.0, refuses=True,
    only_on=("postgres", "SQLite is a file, there is no network to it"),
)  # fmt: skip
def network_to_database_fails(scene: Scene) -> None:
    """A proxy before PostgreSQL: everything 20 ms late, then a black hole, then all connections cut."""
    database = scene.stage.proxies["database"]
    for fault in (database.slow(0.02), database.silent(), database.cut()):
        scene.strike()
        with fault:
            scene.rest(scene.seconds)
        scene.rest(3.0)
