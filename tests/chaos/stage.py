"""The environment of the scenarios: the models, one kind of database, and the stacks."""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from tests.chaos import audit
from tests.chaos.oracle import FIRST_NUMBER
from tests.chaos.proxy import Proxy
from tests.support.product import procfile
from tests.support.restoring import PROBE, train_tripled
from tests.support.stack import Line, Stack, prepared

# A scenario damages the artefacts of these models.
DAMAGED = ("probe-corrupted", "probe-deleted", "probe-replaced")
# A scenario restores another version of this model while the processes run: it answers 3x.
RESTORED = "probe-restored"
# An encoder that learned the missing value as a category of its own.
CATEGORIES = Path(__file__).parent.parent / "cases/missing-category"
# The shortest leases that the product allows: a lost claim is requeued after TIME_LIMIT + 5 seconds. MAX_ATTEMPTS is
# high, so that no row fails because several faults hit it; other scenarios test failure after too many attempts.
SETTINGS = {"TIME_LIMIT": 2, "KEEPER_SECONDS": 0.5, "PREDICTION_SECONDS": 180, "MAX_ATTEMPTS": 12}
LEASE_SECONDS = 7.0
LINES = ("redis", "worker", "worker-2", "keeper", "web")


def train(root: Path, *, all_models: bool = True) -> Path:
    """Train the probe, which answers 2x + 1. With `all_models`, train the other models, too, and, in a folder beside
    `root`, the version that is restored. Returns `root`."""
    from predictions.serving.training.register import train_and_register

    for name in ("probe", *DAMAGED, RESTORED) if all_models else ("probe",):
        shutil.copytree(PROBE, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        train_and_register(root, name)
    if not all_models:
        return root
    shutil.copytree(CATEGORIES, root / CATEGORIES.name, ignore=shutil.ignore_patterns("__pycache__"))
    train_and_register(root, CATEGORIES.name)
    train_tripled(restored_root(root), RESTORED)
    return root


def restored_root(models: Path) -> Path:
    """The folder of the version that is restored. Copies of the folder of models share it."""
    return models.parent / "restored"


class Stage:
    """The environment of a run.

    Args:
        database: "sqlite" or "postgres". For "postgres", DATABASE_URL names a server of `tests.support.postgres`.
        models: the folder of trained models. Scenarios damage them.
        collected: a folder that keeps static files between stacks.
        time_factor: multiplies time limits. Above 1 refusals are no defect, because a busy machine may have to refuse.
            It does not change the limits on lost, duplicated and wrong predictions.
    """

    def __init__(
        self, database: str, models: Path, collected: Path, *, seed: int, quick: bool, time_factor: float = 1.0
    ) -> None:
        self.database = database
        self.models = models
        self.quick = quick
        self.time_factor = time_factor
        self.numbers = count(FIRST_NUMBER)
        self.proxies: dict[str, Proxy] = {}
        self._collected = collected
        self._seed = seed

    @property
    def may_refuse(self) -> bool:
        return self.time_factor > 1

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {self.database} {name}")

    @contextmanager
    def stack(self, place: Path | None = None, **variables: object) -> Iterator[Stack]:
        """A stack without running processes, with a second worker named `worker-2`."""
        with prepared(self.models, self._collected, place, **{**SETTINGS, **variables}) as stack:
            stack.lines["worker-2"] = second_worker(stack)
            audit.install(stack.database_url)
            yield stack

    def is_writable(self, stack: Stack) -> bool:
        """Whether SQLite's write lock is free; PostgreSQL has none."""
        if self.database != "sqlite":
            return True
        with closing(sqlite3.connect(urlsplit(stack.database_url).path, timeout=1, isolation_level=None)) as lock:
            try:
                lock.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            lock.execute("ROLLBACK")
            return True

    @contextmanager
    def paused_database(self, stack: Stack) -> Iterator[None]:
        """Block all writes: hold SQLite's write lock, or suspend PostgreSQL's processes."""
        if self.database == "sqlite":
            path = urlsplit(stack.database_url).path
            with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as lock:
                lock.execute("BEGIN IMMEDIATE")  # closing the connection ends the transaction
                yield
            return
        frozen = _postgres_processes(stack.database_url)
        try:
            _signal(frozen, signal.SIGSTOP)
            yield
        finally:
            _signal(frozen, signal.SIGCONT)


def second_worker(stack: Stack, **variables: str) -> Line:
    """The second worker, with additional variables."""
    command = procfile()["worker"].replace("worker@%h", "worker-2@%h")
    return Line("worker-2", command, {**stack.env, **variables}, stack["worker"].log.with_name("worker-2.log"))


def postgres_folder(database_url: str) -> Path:
    """The folder of the socket and the data of the server."""
    return Path(unquote(urlsplit(database_url).netloc.rpartition("@")[2]))


def _postgres_processes(database_url: str) -> list[psutil.Process]:
    pid = int((postgres_folder(database_url) / "data/postmaster.pid").read_text().split()[0])
    main = psutil.Process(pid)
    return [main, *main.children(recursive=True)]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
