"""The table of predictions of the sketch, in SQLite. The web processes insert rows; the workers claim and settle them.

Run as a program, it creates the table.
"""

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

BATCH = 64
LOCK_SECONDS = 10.0

CREATE = """
CREATE TABLE IF NOT EXISTS prediction (
    id TEXT PRIMARY KEY, model TEXT NOT NULL, caller TEXT NOT NULL, features TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued', worker INTEGER, output TEXT,
    created REAL NOT NULL, started REAL, finished REAL
);
CREATE INDEX IF NOT EXISTS prediction_queued ON prediction (created) WHERE state = 'queued';
"""
INSERT = "INSERT INTO prediction (id, model, caller, features, created) VALUES (?, ?, ?, ?, ?)"
CLAIM = f"""
UPDATE prediction SET state = 'running', worker = ?, started = ?
WHERE id IN (SELECT id FROM prediction WHERE state = 'queued' ORDER BY created LIMIT {BATCH})
RETURNING id, model, features
"""
SETTLE = """
UPDATE prediction SET state = 'succeeded', output = ?, finished = ?
WHERE id = ? AND state = 'running' AND worker = ?
"""

Row = tuple[str, str, str]


def connect(synchronous: str) -> sqlite3.Connection:
    """FULL: a commit is on the disk. NORMAL: a power cut may undo the last commits."""
    path = os.environ["SKETCH_DATABASE"]
    # The writer thread of a web process uses its connection, and the main thread opens it.
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that writes. It waits for the lock in short steps: SQLite's own steps grow to 100 ms."""
    _begin(connection)
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _begin(connection: sqlite3.Connection) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.0003)
        else:
            return


def insert(connection: sqlite3.Connection, rows: Iterable[Sequence[object]]) -> None:
    with transaction(connection):
        connection.executemany(INSERT, rows)


def claim(connection: sqlite3.Connection) -> list[Row]:
    return connection.execute(CLAIM, (os.getpid(), time.time())).fetchall()


def settle(connection: sqlite3.Connection, outputs: Iterable[tuple[str, str]]) -> None:
    """Store the outputs of rows of this process, as pairs of id and JSON."""
    now, worker = time.time(), os.getpid()
    connection.executemany(SETTLE, [(output, now, id_, worker) for id_, output in outputs])


if __name__ == "__main__":
    connect("FULL").executescript(CREATE)
