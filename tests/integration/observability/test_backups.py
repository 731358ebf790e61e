"""Backups during writes, and their restoration: on SQLite with the command, on PostgreSQL as docs/how-to/back-up.md
describes."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections

from predictions.models import ModelVersion, Prediction, State
from predictions.observability import backups
from project.env import BASE_DIR
from tests.integration.conftest import make
from tests.support import postgres
from tests.support.commands import run
from tests.support.needs import need
from tests.support.waiting import wait_until

IS_SQLITE = connection.vendor == "sqlite"
on_sqlite = pytest.mark.skipif(not IS_SQLITE, reason="the command is for SQLite")
on_postgres = pytest.mark.skipif(IS_SQLITE, reason="run on PostgreSQL by: python -m tests.support.postgres")

READ = """
import json, django
django.setup()
from tests.support.site_client import Client
from predictions.models import Prediction
newest = Prediction.objects.order_by("-created_at", "-id")[0]
found = Client(SERVER_NAME="localhost").get(f"/api/v1/predictions/{newest.pk}/")
print(json.dumps([Prediction.objects.count(), found.status_code, b"setosa" in found.content]))
"""


@contextmanager
def rows_being_written(version: ModelVersion) -> Iterator[None]:
    """Another thread writes rows continuously."""
    stopped = threading.Event()

    def write() -> None:
        while not stopped.is_set():
            make(version, State.SUCCEEDED)
        connections.close_all()

    before = Prediction.objects.count()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(lambda: Prediction.objects.count() >= before + 20, 20, "rows are being written")
        yield
    finally:
        stopped.set()
        writer.join()


def read_with_the_app(folder: Path, **variables: str) -> tuple[int, int, bool]:
    """Read the data from another process.

    Returns the number of predictions, the status of a GET of the newest one, and whether that one has a result.
    """
    env = {**os.environ, "VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "project.settings", **variables}
    done = subprocess.run([sys.executable, "-c", READ], cwd=BASE_DIR, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, status, has_answer = json.loads(done.stdout)
    return count, status, has_answer


# --- SQLite ---------------------------------------------------------------------------------------------------------
@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_backup_during_writes_is_restored(iris: ModelVersion, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with rows_being_written(iris):
        before = Prediction.objects.count()
        output = run("backup", tmp_path / "copy.sqlite3")
        after = Prediction.objects.count()

    counted = {name: int(count) for count, name in (line.split() for line in output.splitlines()[:-1])}
    assert output.splitlines()[-1] == f"Written and checked: {tmp_path / 'copy.sqlite3'}"
    assert before <= counted["prediction"] <= after
    (tmp_path / "copy.sqlite3").rename(tmp_path / "new/foretell.sqlite3")
    assert read_with_the_app(tmp_path / "new", DATABASE_URL="") == (counted["prediction"], 200, True)


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_backup_has_a_default_path_and_is_private(iris: ModelVersion, settings: Any, tmp_path: Path) -> None:
    settings.ENV = settings.ENV.model_copy(update={"var_dir": tmp_path})

    path = Path(run("backup").splitlines()[-1].removeprefix("Written and checked: "))

    assert path.parent == tmp_path / "backups"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_backup_to_an_existing_file_fails(tmp_path: Path) -> None:
    path = tmp_path / "there"
    path.write_text("existing")

    with pytest.raises(CommandError, match=r"/there exists already; choose another file$"):
        call_command("backup", str(path))

    assert path.read_text() == "existing"


@on_sqlite
@pytest.mark.django_db(transaction=True)
def test_backup_to_an_unwritable_path_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match=r"^no copy at .*/file/copy: "):
        call_command("backup", str(tmp_path / "file/copy"))


def test_backup_of_a_damaged_database_leaves_no_file(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    with sqlite3.connect(damaged) as written:
        written.execute("CREATE TABLE predictions_x (a TEXT)")
        written.executemany("INSERT INTO predictions_x VALUES (?)", [["x" * 500]] * 200)
    written.close()
    content = bytearray(damaged.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    damaged.write_bytes(content)

    with pytest.raises(backups.BackupFailed):
        backups.copy(damaged, tmp_path / "copy")

    assert [path.name for path in tmp_path.iterdir()] == ["damaged.sqlite3"]


def test_check_of_a_damaged_copy_raises(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"no database" * 100)

    with pytest.raises(sqlite3.DatabaseError):
        backups.check(tmp_path / "copy")


# --- PostgreSQL -----------------------------------------------------------------------------------------------------
@on_postgres
def test_backup_on_postgresql_names_pg_dump(db: None) -> None:
    with pytest.raises(
        CommandError, match=r"^This command copies SQLite only\. For PostgreSQL use pg_dump --format=custom "
    ):
        call_command("backup")


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_dump_during_writes_is_restored(iris: ModelVersion, tmp_path: Path) -> None:
    programs = postgres.binaries()
    need((programs / "pg_dump").exists(), "pg_dump is missing; on Debian and Ubuntu: apt-get install postgresql-client")
    used = connection.settings_dict
    server = ["--host", str(used["HOST"]), "--username", str(used["USER"])]
    restored = f"restored_{uuid.uuid4().hex}"

    def tool(name: str, *arguments: str) -> None:
        subprocess.run([programs / name, *server, *arguments], check=True, timeout=60)

    with rows_being_written(iris):
        before = Prediction.objects.count()
        tool("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", str(used["NAME"]))
        after = Prediction.objects.count()
    tool("createdb", restored)
    try:
        tool("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={restored}", str(tmp_path / "dump"))
        address = f"postgres://{used['USER']}@{quote(str(used['HOST']), safe='')}/{restored}"
        count, status, has_answer = read_with_the_app(tmp_path, DATABASE_URL=address)
    finally:
        tool("dropdb", "--force", restored)

    assert before <= count <= after
    assert (status, has_answer) == (200, True)
