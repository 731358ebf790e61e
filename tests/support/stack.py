"""The real processes, started from the Procfile's own lines, with a folder, port, database and Redis of their own."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import httpx
import psutil
import psycopg
import redis
from dotenv import dotenv_values

from project.dev_redis import embedded_url, socket_folder
from project.env import BASE_DIR, Env
from tests.support.waiting import wait_until

START_SECONDS = 40.0
TERMINAL = {"succeeded", "failed", "canceled", "expired"}
Row = Mapping[str, Any]


def procfile() -> dict[str, str]:
    """The command of each line, by its name."""
    lines = (BASE_DIR / "Procfile").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line)


class Line:
    """One line of the Procfile: started by a shell, in a process group of its own, as any supervisor would."""

    def __init__(self, name: str, command: str, env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._env = env
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
            self._command, shell=True, cwd=BASE_DIR, env=self._env, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip

    def terminate(self, seconds: float = 20.0) -> None:
        """Ask it to end, and wait until it has."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL for the main process alone: its children find out by themselves."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def kill_children(self) -> None:
        """SIGKILL for all children of the main process, which lives."""
        for child in self.process.children():
            child.kill()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def wipe_out(self) -> None:
        """End everything that this line has started."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class Stack:
    """All lines of the Procfile. `client` speaks HTTP to the web process."""

    def __init__(self, folder: Path, models: Path, database_url: str, **variables: object) -> None:
        self.models = models
        self.var_dir = folder / "var"
        self.database_url = database_url
        self.env = _environment(folder, models, database_url, variables)
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

    # --- Lines --------------------------------------------------------------------------------------------------------
    def __getitem__(self, name: str) -> Line:
        return self.lines[name]

    def start(self, *names: str) -> None:
        """Start the lines, in this order, and wait until the web answers if it is among them."""
        for name in names:
            self.lines[name].start()
        if "web" in names:
            wait_until(self.answers, START_SECONDS, "the web answers")

    def mend(self) -> None:
        """Bring back whatever a test has stopped, and wait until nothing is left to do."""
        for line in self.lines.values():
            line.thaw() if line.is_running else self.start(line.name)
        wait_until(self._redis_answers, START_SECONDS, "Redis answers")
        wait_until(self.refresh_status, START_SECONDS, "nothing is queued or running")
        wait_until(self.is_idle, START_SECONDS, "no worker has a task")

    def answers(self) -> bool:
        try:
            return self.client.get("/api/v1/models/").status_code == 200
        except httpx.TransportError:
            return False

    def _redis_answers(self) -> bool:
        try:
            return bool(self.redis.ping())
        except redis.RedisError:
            return False

    def refresh_status(self) -> bool:
        return set(self.states()) <= TERMINAL

    def is_idle(self) -> bool:
        """Nothing to do, and nobody about to find that out: what is `unacked` is a task that still runs."""
        return self.refresh_status() and self.redis.llen("interactive") == self.redis.hlen("unacked") == 0

    def replace_worker(self) -> None:
        """A new worker, and nothing in Redis of one that was killed: its messages come back only after two minutes."""
        self.lines["worker"].terminate()
        self.redis.flushall()
        self.start("worker")

    def close(self) -> None:
        for line in self.lines.values():
            line.wipe_out()
        self.client.close()
        self.redis.close()
        shutil.rmtree(socket_folder(self.var_dir), ignore_errors=True)

    # --- Asking -------------------------------------------------------------------------------------------------------
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
        found: dict[str, Any] = response.json()
        return found

    # --- Looking into the database ------------------------------------------------------------------------------------
    def rows(self, ids: Collection[str] | None = None) -> list[Row]:
        """The predictions, oldest first; all of them, or those with these ids."""
        found = self.query(
            "SELECT id, version_id, state, claim, attempts, output, error_code FROM predictions_prediction"
            " ORDER BY created_at, id"
        )
        shaped = [{**row, "id": str(uuid.UUID(str(row["id"])))} for row in found]
        return shaped if ids is None else [row for row in shaped if row["id"] in ids]

    def states(self, ids: Collection[str] | None = None) -> list[str]:
        return [row["state"] for row in self.rows(ids)]

    def query(self, sql: str) -> list[Row]:
        with connected(self.database_url) as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def wait_for_end(self, ids: Collection[str], seconds: float) -> list[Row]:
        """The rows once all of them are terminal."""
        wait_until(lambda: set(self.states(ids)) <= TERMINAL, seconds, "all predictions have ended")
        return self.rows(ids)

    def wait_for_state(self, prediction_id: str, state: str, seconds: float) -> Row:
        wait_until(lambda: self.states([prediction_id]) == [state], seconds, f"the prediction is {state}")
        return self.rows([prediction_id])[0]

    def log_tails(self, lines: int = 40) -> dict[str, str]:
        logs = {name: line.log for name, line in self.lines.items() if line.log.exists()}
        return {name: "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) for name, log in logs.items()}


@contextmanager
def prepared(models: Path, collected: Path, place: Path | None = None, **variables: object) -> Iterator[Stack]:
    """A stack whose database, files and models are ready, and of which nothing runs yet. All ends with it.

    `collected` is a folder that keeps the static files from one stack to the next: compressing them takes long. What
    the stack writes lies in `place`, or where temporary files do.
    """
    named = {name for name in ("REDIS_URL", "BROKER_URL") if dotenv_values(BASE_DIR / ".env").get(name)}
    assert not named, f"these tests start and kill a Redis of their own: take {named} out of .env meanwhile"
    with (
        tempfile.TemporaryDirectory(prefix="foretell-stack-", dir=place) as folder,
        _database(Path(folder)) as database_url,
    ):
        stack = Stack(Path(folder), models, database_url, **variables)
        try:
            with _static_files(collected, stack.var_dir / "staticfiles"):
                stack.manage("prepare")
            yield stack
        except BaseException:
            for name, log in stack.log_tails().items():
                print(f"--- log of {name} ---\n{log}", file=sys.stderr)
            raise
        finally:
            stack.close()


def _environment(folder: Path, models: Path, database_url: str, variables: Mapping[str, object]) -> dict[str, str]:
    """The shell's environment without what it says of Foretell. Named here, a variable of `.env` has no effect."""
    shell = {name: value for name, value in os.environ.items() if name.lower() not in Env.model_fields}
    defaults = {name.upper(): str(field.default) for name, field in Env.model_fields.items()}
    ours = {
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(BASE_DIR),
        "SECRET_KEY": "a key that signs nothing of value, in tests only",
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "CSRF_TRUSTED_ORIGINS": "",
        "VAR_DIR": str(folder / "var"),
        "MODELS_DIR": str(models),
        "DATABASE_URL": database_url,
        "PORT": str(_free_port()),
    }
    return shell | defaults | ours | {name: str(value) for name, value in variables.items()}


@contextmanager
def _static_files(kept: Path, used: Path) -> Iterator[None]:
    """Begin with what an earlier stack has collected, and keep what this one collects."""
    if found := max(kept.iterdir(), key=lambda path: path.stat().st_mtime, default=None):
        shutil.copytree(found, used)
    yield
    this = kept / (used / ".sources").read_text()
    if not this.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as incoming:
            shutil.copytree(used, Path(incoming) / "staticfiles")
            (Path(incoming) / "staticfiles").rename(this)
        for old in kept.iterdir():
            if time.time() - old.stat().st_mtime > 3600:  # a younger one may be in use beside us
                shutil.rmtree(old)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """A new SQLite file; or a new database in the PostgreSQL that DATABASE_URL names."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield f"sqlite:///{folder}/foretell.sqlite3"
        return
    name = f"stack_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def connected(database_url: str) -> Iterator[Any]:
    """A connection of our own, beside those of the product."""
    if database_url.startswith("postgres"):
        with psycopg.connect(database_url, autocommit=True) as connection:
            yield connection
        return
    sqlite = sqlite3.connect(urlsplit(database_url).path, timeout=10.0)
    try:
        yield sqlite
    finally:
        sqlite.close()
