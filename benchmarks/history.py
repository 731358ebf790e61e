"""Fills the table of predictions with copies of a finished prediction. The database makes the copies."""

import sqlite3
from pathlib import Path

import psycopg
from psycopg import sql

TABLE = "predictions_prediction"
# Rows per transaction: a transaction of millions of rows would block other writers.
STEP = 20_000

SQLITE = {
    "id": "lower(hex(randomblob(16)))",
    "caller": "'visitor:' || (abs(random()) % 1000)",
    "created_at": "strftime('%Y-%m-%d %H:%M:%f', created_at, '-' || n || ' seconds') || '000'",
    "finished_at": "strftime('%Y-%m-%d %H:%M:%f', finished_at, '-' || n || ' seconds') || '000'",
}
POSTGRES = {
    "id": "gen_random_uuid()",
    "caller": "'visitor:' || floor(random() * 1000)",
    "created_at": "created_at - n * interval '1 second'",
    "finished_at": "finished_at - n * interval '1 second'",
}


def fill(database: str | Path, count: int) -> None:
    """Fill the table up to `count` rows. It must hold a succeeded prediction. The service may run meanwhile."""
    if isinstance(database, Path):
        _fill_sqlite(database, count)
    else:
        _fill_postgres(database, count)


def _fill_sqlite(path: Path, count: int) -> None:
    with sqlite3.connect(path, timeout=60, isolation_level=None) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-500000")
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({TABLE})")]
        existing = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]
        statement = f"""
            WITH RECURSIVE numbers(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
            INSERT INTO {TABLE} ({_names(columns)}) SELECT {_values(columns, SQLITE)}
            FROM numbers, (SELECT * FROM {TABLE} WHERE state = 'succeeded' LIMIT 1)"""
        for first in range(existing + 1, count + 1, STEP):
            connection.execute(statement, {"first": first, "last": min(first + STEP - 1, count)})
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _fill_postgres(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(f"SELECT * FROM {TABLE} LIMIT 0").description
        columns = [column.name for column in found or ()]
        (existing,) = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone() or (0,)
        statement = sql.SQL(f"""
            INSERT INTO {TABLE} ({_names(columns)}) SELECT {_values(columns, POSTGRES)}
            FROM generate_series(%(first)s::int, %(last)s::int) AS n,
                 (SELECT * FROM {TABLE} WHERE state = 'succeeded' LIMIT 1) AS one""")
        for first in range(existing + 1, count + 1, STEP):
            connection.execute(statement, {"first": first, "last": min(first + STEP - 1, count)})
        connection.execute(f"ANALYZE {TABLE}")


def _names(columns: list[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _values(columns: list[str], changed: dict[str, str]) -> str:
    return ", ".join(changed.get(column, f'"{column}"') for column in columns)
