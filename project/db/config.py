"""Settings of the connection to the database: its backend, its time limits, and SQLite's pragmas."""

from typing import Any

import dj_database_url

from project.env import Env, refuse

# A web request must not hang on a database that does not answer: 4 s, then 503.
ANSWER_SECONDS = 4

SQLITE_OPTIONS: dict[str, Any] = {
    "timeout": ANSWER_SECONDS,
    # A transaction that begins by reading and then writes gets "database is locked" at once; one that begins by
    # writing waits its turn.
    "transaction_mode": "IMMEDIATE",
    "init_command": (
        # FULL: an accepted prediction survives a power cut. Workers use NORMAL: see predictions.worker.preload.
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;"
        # The cache is small: each thread has a connection with a cache of its own, and each write by another connection
        # makes it stale. The operating system caches the pages of the file for all connections. Workers read many pages
        # at once and have a larger cache: see predictions.worker.preload.
        "PRAGMA journal_size_limit=67108864;PRAGMA cache_size=-250;PRAGMA temp_store=MEMORY;"
        # SQLite itself no longer waits for a lock: project.db.sqlite does that, in shorter steps.
        "PRAGMA busy_timeout=0;"
    ),
}
POSTGRES_OPTIONS = {
    "options": " ".join(
        f"-c {name}={seconds}s"
        for name, seconds in (
            ("statement_timeout", ANSWER_SECONDS),
            ("lock_timeout", 2),
            ("idle_in_transaction_session_timeout", 10),
        )
    ),
    # The health check that finds the old connection dead may take one second of the whole time.
    "connect_timeout": ANSWER_SECONDS - 1,
}


def configured(env: Env) -> dict[str, Any]:
    """Django's settings of the database: the one that DATABASE_URL names, or a file in VAR_DIR.

    Ends the process if DATABASE_URL is not the address of a database.
    """
    url = env.database_url or f"sqlite:///{env.var_dir / 'foretell.sqlite3'}"
    try:
        config: dict[str, Any] = dict(dj_database_url.parse(url, conn_max_age=None, conn_health_checks=True))
    except (ValueError, dj_database_url.UnknownSchemeError):
        refuse(["DATABASE_URL: not a database address; expected postgres://user:password@host/name"])
    sqlite = config["ENGINE"].endswith("sqlite3")
    config["OPTIONS"] = {**config.get("OPTIONS", {}), **(SQLITE_OPTIONS if sqlite else POSTGRES_OPTIONS)}
    config["ENGINE"] = "project.db.sqlite" if sqlite else "project.db.postgresql"
    if sqlite:
        # A SQLite connection is a file handle: there is no server whose health could be checked.
        config["CONN_HEALTH_CHECKS"] = False
    return config
