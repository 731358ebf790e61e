"""What a programme runs on: the models, one kind of database, and the stacks that are opened there."""

import os
import random
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from tests.chaos import audit
from tests.chaos.oracle import FIRST_NUMBER
from tests.chaos.proxy import Proxy
from tests.support.stack import Line, Stack, prepared, procfile

PROBE = Path(__file__).parent.parent / "worker/models/probe"
# Their artefacts come to harm.
HARMED = ("probe-corrupted", "probe-deleted", "probe-replaced")
# The shortest leases that the product allows: a lost claim is given back after TIME_LIMIT + 5 seconds. So many attempts
# that a row which is always at the wrong place is not given up: what is given up is the subject of two scenarios.
SETTINGS = {"TIME_LIMIT": 2, "KEEPER_SECONDS": 0.5, "PREDICTION_SECONDS": 180, "MAX_ATTEMPTS": 12}
LEASE_SECONDS = 7.0
LINES = ("redis", "worker", "relief", "keeper", "web")


def train(root: Path) -> Path:
    """The models that answer 2x + 1."""
    from predictions.serving.training.register import train_and_register

    for name in ("probe", *HARMED):
        shutil.copytree(PROBE, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        train_and_register(root, name)
    return root


class Stage:
    """
    Args:
        database: "sqlite", or "postgres": then DATABASE_URL names a server that `tests.support.postgres` has started.
        models: trained ones; the stage breaks them.
        collected: keeps static files from one stack to the next.
        patience: bounds on waiting are multiplied by this, and above 1 a refusal is no defect: a busy machine may have
            to refuse. Never those on what is lost, doubled or wrong.
    """

    def __init__(
        self, database: str, models: Path, collected: Path, *, seed: int, quick: bool, patience: float = 1.0
    ) -> None:
        self.database = database
        self.models = models
        self.quick = quick
        self.patience = patience
        self.numbers = count(FIRST_NUMBER)
        self.proxies: dict[str, Proxy] = {}
        self._collected = collected
        self._seed = seed

    @property
    def is_patient(self) -> bool:
        return self.patience > 1

    def random(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {self.database} {name}")

    @contextmanager
    def stack(self, place: Path | None = None, **variables: object) -> Iterator[Stack]:
        """A stack of which nothing runs yet; its second worker is called `relief`."""
        with prepared(self.models, self._collected, place, **{**SETTINGS, **variables}) as stack:
            stack.lines["relief"] = relief(stack)
            audit.install(stack.database_url)
            yield stack

    @contextmanager
    def paused_database(self, stack: Stack) -> Iterator[None]:
        """Nobody can write: SQLite's write lock is taken, or PostgreSQL's processes are frozen."""
        if self.database == "sqlite":
            lock = sqlite3.connect(urlsplit(stack.database_url).path, timeout=30, isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            yield
            lock.execute("ROLLBACK")
            lock.close()
            return
        frozen = _postgres_processes(stack.database_url)
        try:
            _signal(frozen, signal.SIGSTOP)
            yield
        finally:
            _signal(frozen, signal.SIGCONT)


def relief(stack: Stack, **variables: str) -> Line:
    """The second worker, with variables of its own."""
    command = procfile()["worker"].replace("worker@%h", "relief@%h")
    return Line("relief", command, {**stack.env, **variables}, stack["worker"].log.with_name("relief.log"))


def postgres_folder(database_url: str) -> Path:
    """Where the server's socket and its data lie."""
    return Path(unquote(urlsplit(database_url).netloc.rpartition("@")[2]))


def _postgres_processes(database_url: str) -> list[psutil.Process]:
    pid = int((postgres_folder(database_url) / "data/postmaster.pid").read_text().split()[0])
    main = psutil.Process(pid)
    return [main, *main.children(recursive=True)]


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
