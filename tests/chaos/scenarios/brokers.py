"""Redis crashes, freezes, loses its data, is full, is slow, or is absent. No request waits for it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from predictions.queue.redis_client import RATE_SECONDS
from project.dev_redis import embedded_url
from tests.chaos.proxy import Proxy, before
from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import LINES, Stage, postgres_folder, second_worker
from tests.support.product import procfile
from tests.support.stack import Line, Stack

# A request waits for Redis with its own batch and with the batch before it. The rest is for all other work.
LONGEST = 2 * RATE_SECONDS + 0.8


@scenario("T3", seconds=14, quick_seconds=6, longest=LONGEST, in_suite=True)
def redis_is_killed(scene: Scene) -> None:
    """Redis is killed (SIGKILL), restarted after 3 s, and killed again 3 s later."""
    for _ in scene.every(3.0):
        scene.mark_fault()
        scene.stack["redis"].kill()
        scene.pause(3.0)
        scene.stack["redis"].start()


@scenario("T4", seconds=8, in_suite=True)
def redis_loses_data(scene: Scene) -> None:
    """FLUSHALL every second: all messages and all keys of the notifications are lost."""
    for _ in scene.every(1.0):
        scene.mark_fault()
        scene.stack.redis.flushall()


@scenario("T5", seconds=10, quick_seconds=6, longest=LONGEST, in_suite=True)
def redis_freezes(scene: Scene) -> None:
    """Redis is suspended (SIGSTOP): connections stay open, and commands get no response."""
    scene.mark_fault()
    scene.stack["redis"].freeze()
    scene.pause(scene.seconds)
    scene.stack["redis"].thaw()


@scenario("T6", seconds=8, longest=LONGEST)
def redis_is_full(scene: Scene) -> None:
    """Redis is at `maxmemory` and refuses each write: the keeper executes the predictions."""
    scene.mark_fault()
    scene.stack.redis.config_set("maxmemory", 1)
    try:
        first = scene.submit()
        scene.pause(scene.seconds)
        scene.wait_until(lambda: scene.are_finished([first]), 30, "answered while Redis is full")
    finally:
        scene.stack.redis.config_set("maxmemory", 0)


def _own_stack(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack()


@scenario("T7", seconds=10, longest=LONGEST, opens=_own_stack, starts=tuple(name for name in LINES if name != "redis"))
def redis_is_absent(scene: Scene) -> None:
    """There is no Redis at any time: the keeper executes the predictions."""
    scene.pause(scene.seconds)


@contextmanager
def _behind_proxies(stage: Stage, **variables: object) -> Iterator[Stack]:
    """A stack with proxies in front of Redis and PostgreSQL."""
    with stage.stack(**variables) as stack, ExitStack() as proxies:
        redis_env = {**stack.env, "REDIS_URL": ""}
        stack.lines["redis"] = Line("redis", procfile()["redis"], redis_env, stack["redis"].log)
        socket = Path(embedded_url(stack.var_dir).removeprefix("unix://"))
        redis = stage.proxies["redis"] = proxies.enter_context(before(socket))
        stack.env["REDIS_URL"] = f"redis://127.0.0.1:{redis.port}/0"
        if stage.database == "postgres":
            database = proxies.enter_context(before(postgres_folder(stack.database_url) / ".s.PGSQL.5432"))
            stage.proxies["database"] = database
            name = stack.database_url.rpartition("/")[2]
            stack.env["DATABASE_URL"] = f"postgres://foretell@127.0.0.1:{database.port}/{name}"
        stack.lines["worker-2"] = second_worker(stack)
        yield stack


@scenario("T3, T5", seconds=5, opens=_behind_proxies, longest=LONGEST)
def network_to_redis_fails(scene: Scene) -> None:
    """A proxy in front of Redis delays all data by 20 ms, then passes no data, then resets all connections."""
    _inject_network_faults(scene, scene.stage.proxies["redis"], recovery_seconds=2.0)


@scenario(
    "T8", seconds=8, opens=_behind_proxies, longest=5.0, refuses=True,
    only_on=("postgres", "SQLite is a file without a network connection"),
)  # fmt: skip
def network_to_database_fails(scene: Scene) -> None:
    """A proxy in front of PostgreSQL delays all data by 20 ms, then passes no data, then resets all connections."""
    _inject_network_faults(scene, scene.stage.proxies["database"], recovery_seconds=3.0)


def _behind_proxies_with_a_rate(stage: Stage) -> AbstractContextManager[Stack]:
    return _behind_proxies(stage, SUBMIT_RATE="100000/min")


@scenario("P11", seconds=12, quick_seconds=6, opens=_behind_proxies_with_a_rate, longest=LONGEST, settles=90)
def redis_is_slow(scene: Scene) -> None:
    """A round trip to Redis takes 0.3 s, then 0.9 s, and each request asks it for its rate: none waits for longer than
    the budget."""
    for seconds in (0.3, 0.9):
        scene.mark_fault()
        with scene.stage.proxies["redis"].slow(seconds / 2):
            scene.pause(scene.seconds / 2)


def _inject_network_faults(scene: Scene, proxy: Proxy, recovery_seconds: float) -> None:
    for fault in (proxy.slow(0.02), proxy.silent(), proxy.cut()):
        scene.mark_fault()
        with fault:
            scene.pause(scene.seconds)
        scene.pause(recovery_seconds)
