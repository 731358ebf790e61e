"""Faults of one part each, as contexts: the fault begins on entry, and its repair begins on exit.

The scenarios of pairs combine them: each leaves the stack so that another one may begin at once.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import redis

from predictions.models import Lane
from tests.chaos.scenario import NotRunnable, Scene
from tests.support.garbage import GARBAGE

WORKERS = ("worker", "worker-2")
HOUR_MS = 3_600_000
FREEZES = 20


def _redis(scene: Scene) -> redis.Redis:
    """Redis, which may just have been started again."""
    scene.wait_until(scene.stack.is_redis_answering, 10, "Redis answers")
    return scene.stack.redis


@contextmanager
def killed(scene: Scene, name: str) -> Iterator[None]:
    """A process is killed with all its children, and started again at the end."""
    scene.stack[name].wipe_out()
    yield
    scene.stack.start(name)


@contextmanager
def frozen(scene: Scene, *names: str) -> Iterator[None]:
    for name in names:
        scene.stack[name].freeze()
    yield
    for name in names:
        scene.stack[name].thaw()


@contextmanager
def workers_frozen(scene: Scene) -> Iterator[None]:
    """Suspend the workers while none of them holds SQLite's write lock: else this would be a paused database.

    Raises:
        NotRunnable: at each attempt one of them held the lock.
    """
    for _ in range(FREEZES):
        with frozen(scene, *WORKERS):
            if scene.stage.is_writable(scene.stack):
                yield
                return
    raise NotRunnable("each time that the workers were suspended, one of them held the write lock")


@contextmanager
def workers_killed(scene: Scene) -> Iterator[None]:
    for name in WORKERS:
        scene.stack[name].wipe_out()
    yield
    scene.stack.start(*WORKERS)


@contextmanager
def data_lost(scene: Scene) -> Iterator[None]:
    _redis(scene).flushall()
    yield


@contextmanager
def wrong_type(scene: Scene) -> Iterator[None]:
    """The key of Celery's queue holds a string: each command on it fails."""
    _redis(scene).set(Lane.INTERACTIVE, "no list")
    yield


@contextmanager
def stale_marks(scene: Scene) -> Iterator[None]:
    """Each mark in Redis loses its expiry, or expires only after an hour."""
    server = _redis(scene)
    for key in server.scan_iter("foretell:*"):
        if scene.random.random() < 0.5:
            server.persist(key)
        else:
            server.pexpire(key, HOUR_MS)
    yield


@contextmanager
def garbage(scene: Scene) -> Iterator[None]:
    server = _redis(scene)
    if server.type(Lane.INTERACTIVE) in {b"list", b"none"}:
        server.lpush(Lane.INTERACTIVE, *GARBAGE.values())
    yield


@contextmanager
def database_paused(scene: Scene) -> Iterator[None]:
    with scene.stage.paused_database(scene.stack):
        yield


@dataclass(frozen=True)
class PartFault:
    """
    Attributes:
        part: the part of the system that fails. The two faults of a pair have different parts.
        begin: returns the context of the fault.
    """

    name: str
    part: str
    begin: Callable[[Scene], AbstractContextManager[None]]


FAULTS = (
    PartFault("Redis is killed", "redis", lambda scene: killed(scene, "redis")),
    PartFault("Redis is frozen", "redis", lambda scene: frozen(scene, "redis")),
    PartFault("Redis loses its data", "keys", data_lost),
    PartFault("the queue's key has a wrong type", "keys", wrong_type),
    PartFault("marks are stale", "marks", stale_marks),
    PartFault("garbage is in the queue", "messages", garbage),
    PartFault("the workers are killed", "workers", workers_killed),
    PartFault("the workers are frozen", "workers", workers_frozen),
    PartFault("one worker is killed", "worker", lambda scene: killed(scene, "worker-2")),
    PartFault("the keeper is killed", "keeper", lambda scene: killed(scene, "keeper")),
    PartFault("the keeper is frozen", "keeper", lambda scene: frozen(scene, "keeper")),
    PartFault("the web server is killed", "web", lambda scene: killed(scene, "web")),
    PartFault("the database is paused", "database", database_paused),
)
