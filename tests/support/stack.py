"""The real processes of the Procfile, with their own folder, port, database and Redis."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import psycopg
import redis
from dotenv import dotenv_values

from project.dev_redis import embedded_url, socket_folder
from project.env import BASE_DIR
from tests.support.product import environment, free_port, procfile
from tests.support.waiting import wait_until

START_SECONDS = 40.0
TERMINAL = {"succeeded", "failed", "canceled", "expired"}
Row = Mapping[str, Any]


class Line:
    """One process of the Procfile, started by a shell in its own process group, like a supervisor does."""

    def __init__(self, name: str, command: str, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.command = command
        self.env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def start(self) -> None:
        assert not self.is_running
        with self.log.open("ab") as log:
            self._process = self._popen(log)

    def _popen(self, log: BinaryIO) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self.command, shell=True, cwd=BASE_DIR, env=self.env, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip

    def terminate(self, seconds: float = 20.0) -> None:
        """Send SIGTERM to the main process, and wait for its end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(seconds)

    def kill(self) -> None:
        """Send SIGKILL to the main process only. Its children must notice that themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_children(self) -> None:
        """Send SIGKILL to all children of the main process."""
        for child in self.process.children():
            child.kill()

    def freeze(self) -> None:
        """Suspend the process group."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the process group."""
        self._signal(signal.SIGCONT)

    def wipe_out(self) -> None:
        """Send SIGKILL to the process group, if it was started."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Stack:
    """All processes of the Procfile, by name in `lines`. `client` sends HTTP requests to the web process."""

    def __init__(self, folder: Path, models: Path, database_url: str, **variables: object) -> None:
        self.models = models
        self.var_dir = folder / "var"
        self.database_url = database_url
        self.env = environment(
            DJANGO_SETTINGS_MODULE="project.settings",
            PYTHONPATH=BASE_DIR,
            VAR_DIR=self.var_dir,
            MODELS_DIR=models,
            DATABASE_URL=database_url,
            PORT=free_port(),
        )
        self.env |= {name: str(value) for name, value in variables.items()}
        self.lines = {
            name: Line(name, command, self.env, folder / f"{name}.log") for name, command in procfile().items()
        }
        self.redis_url = embedded_url(self.var_dir)
        self.redis = redis.Redis.from_url(self.redis_url)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.env['PORT']}", timeout=20.0)

    def manage(self, *arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=BASE_DIR, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def manage_all(self, *commands: Sequence[str]) -> None:
        """Run several commands in one process. Importing the libraries takes longer than the commands themselves."""
        run = f"from django.core.management import call_command\nfor words in {commands!r}:\n    call_command(*words)"
        self.manage("shell", "--no-imports", "-c", run)

    # --- Processes ---------------------------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> Line:
        return self.lines[name]

    def start(self, *names: str) -> None:
        """Start processes in this order. If the web process is among them, wait until it answers."""
        for name in names:
            self.lines[name].start()
        if "web" in names:
            wait_until(self.is_answering, START_SECONDS, "the web process answers")

    def freeze(self, *names: str) -> None:
        """Suspend processes, but not in the middle of a transaction: they would hold SQLite's write lock."""

        def frozen_without_a_lock() -> bool:
            for name in names:
                self.lines[name].freeze()
            if self._is_writable():
                return True
            for name in names:
                self.lines[name].thaw()
            return False

        wait_until(frozen_without_a_lock, START_SECONDS, "the processes are frozen without a lock")

    def _is_writable(self) -> bool:
        if self.database_url.startswith("postgres"):  # PostgreSQL has no lock on the whole database
            return True
        with connected(self.database_url) as connection:
            connection.execute("PRAGMA busy_timeout = 500")
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.rollback()
        return True

    def mend(self) -> None:
        """Start or resume all processes, and wait until they are idle."""
        for line in self.lines.values():
            line.thaw() if line.is_running else self.start(line.name)
        wait_until(self.is_redis_answering, START_SECONDS, "Redis answers")
        wait_until(self.all_finished, START_SECONDS, "nothing is queued or running")
        wait_until(self.is_idle, START_SECONDS, "no worker has a task")

    def is_answering(self) -> bool:
        try:
            return self.client.get("/api/v1/models/").status_code == 200
        except httpx.TransportError:
            return False

    def is_redis_answering(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def all_finished(self) -> bool:
        """True if no prediction is queued or running."""
        unfinished = "SELECT id FROM predictions_prediction WHERE state IN ('queued', 'running') LIMIT 1"
        return not self.query(unfinished)

    def is_idle(self) -> bool:
        """True if all predictions are finished and no task is queued or running (`unacked` holds the running ones)."""
        return self.all_finished() and self.redis.llen("interactive") == self.redis.hlen("unacked") == 0

    def replace_worker(self, name: str = "worker") -> None:
        """Restart a worker with an empty Redis: it redelivers messages of a killed worker only after two minutes."""
        self.lines[name].terminate()
        self.redis.flushall()
        self.start(name)

    def close(self) -> None:
        with closing(self.client), closing(self.redis):
            for line in self.lines.values():
                line.wipe_out()
        shutil.rmtree(socket_folder(self.var_dir), ignore_errors=True)

    # --- Requests ----------------------------------------------------------------------------------------------------
    def post(self, model: str, features: Any, **headers: str) -> httpx.Response:
        return self.client.post(f"/api/v1/models/{model}/predictions/", json={"features": features}, headers=headers)

    def submit(self, model: str, features: Any) -> str:
        """The id of an accepted prediction."""
        response = self.post(model, features)
        assert response.status_code == 202, response.text
        return str(response.json()["id"])

    def get(self, prediction_id: str) -> dict[str, Any]:
        response = self.client.get(f"/api/v1/predictions/{prediction_id}/")
        assert response.status_code == 200, response.text
        prediction: dict[str, Any] = response.json()
        return prediction

    # --- Database ----------------------------------------------------------------------------------------------------
    def rows(self, ids: Collection[str] | None = None) -> list[Row]:
        """All predictions that a test asked for, or those with these ids; oldest first. The keeper adds canaries."""
        if ids is not None and not ids:
            return []
        named = ", ".join(f"'{uuid.UUID(one).hex}'" for one in ids or [])
        wanted = "source <> 'canary'" if ids is None else f"id IN ({named})"
        stored = self.query(
            "SELECT id, version_id, state, claim, attempts, output, error_code FROM predictions_prediction "
            f"WHERE {wanted} ORDER BY created_at, id"
        )
        return [{**row, "id": str(uuid.UUID(str(row["id"])))} for row in stored]

    def states(self, ids: Collection[str] | None = None) -> list[str]:
        return [row["state"] for row in self.rows(ids)]

    def query(self, sql: str) -> list[Row]:
        with connected(self.database_url) as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def wait_for_end(self, ids: Collection[str], seconds: float) -> list[Row]:
        """Wait until these predictions are finished. Returns their rows."""
        wait_until(lambda: set(self.states(ids)) <= TERMINAL, seconds, "all predictions are finished")
        return self.rows(ids)

    def wait_for_state(self, prediction_id: str, state: str, seconds: float) -> Row:
        wait_until(lambda: self.states([prediction_id]) == [state], seconds, f"the prediction is {state}")
        return self.rows([prediction_id])[0]

    def log_tails(self, lines: int = 40) -> dict[str, str]:
        logs = {name: line.log for name, line in self.lines.items() if line.log.exists()}
        return {name: "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) for name, log in logs.items()}


@contextmanager
def prepared(models: Path, collected: Path, place: Path | None = None, **variables: object) -> Iterator[Stack]:
    """A prepared stack without running processes. The end of the context stops and removes everything.

    Args:
        collected: a folder that keeps static files between stacks, because their compression is slow.
        place: the folder for the files of the stack; the default is the folder of temporary files.
    """
    with _new(models, place, "", variables) as stack:
        with _static_files(collected, stack.var_dir / "staticfiles"):
            stack.manage("prepare")
        yield stack


@contextmanager
def copied(source: Stack, **variables: object) -> Iterator[Stack]:
    """A stack that starts with copies of another's database and static files. Copying is quicker than preparing.

    Args:
        source: a prepared stack whose processes never run. Its folder of models is used, too.
    """
    with _new(source.models, None, source.database_url, variables) as stack:
        shutil.copytree(source.var_dir / "staticfiles", stack.var_dir / "staticfiles")
        yield stack


@contextmanager
def _new(models: Path, place: Path | None, database: str, variables: Mapping[str, object]) -> Iterator[Stack]:
    named = {name for name in ("REDIS_URL", "BROKER_URL") if dotenv_values(BASE_DIR / ".env").get(name)}
    assert not named, f"these tests start and kill their own Redis: remove {named} from .env while they run"
    with (
        tempfile.TemporaryDirectory(prefix="foretell-stack-", dir=place) as folder,
        _database(Path(folder), database) as database_url,
    ):
        stack = Stack(Path(folder), models, database_url, **variables)
        try:
            yield stack
        except BaseException:
            for name, log in stack.log_tails().items():
                print(f"--- log of {name} ---\n{log}", file=sys.stderr)
            raise
        finally:
            stack.close()


@contextmanager
def _static_files(kept: Path, used: Path) -> Iterator[None]:
    """Start with the static files of an earlier stack, and keep those of this one."""
    if newest := max(kept.iterdir(), key=lambda path: path.stat().st_mtime, default=None):
        shutil.copytree(newest, used)
    yield
    this = kept / (used / ".sources").read_text()
    if not this.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as incoming:
            shutil.copytree(used, Path(incoming) / "staticfiles")
            (Path(incoming) / "staticfiles").rename(this)
        for old in kept.iterdir():
            if time.time() - old.stat().st_mtime > 3600:  # another test run may use a newer one
                shutil.rmtree(old)


@contextmanager
def _database(folder: Path, source: str) -> Iterator[str]:
    """The URL of a SQLite file, or of a database on the PostgreSQL server that DATABASE_URL names. It is new.

    Args:
        source: the URL of a database to copy. Nobody may be connected to it. If empty, the new one is empty.
    """
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        file = folder / "foretell.sqlite3"
        if source:
            original = Path(urlsplit(source).path)
            assert not original.with_name(f"{original.name}-wal").exists(), "somebody is connected to the source"
            shutil.copyfile(original, file)
        yield f"sqlite:///{file}"
        return
    name = f"stack_{uuid.uuid4().hex}"
    template = f" TEMPLATE {urlsplit(source).path.strip('/')}" if source else ""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{template}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def connected(database_url: str) -> Iterator[Any]:
    """A separate database connection for the tests."""
    if database_url.startswith("postgres"):
        with psycopg.connect(database_url, autocommit=True) as connection:
            yield connection
        return
    sqlite = sqlite3.connect(urlsplit(database_url).path, timeout=10.0)
    try:
        yield sqlite
    finally:
        sqlite.close()
