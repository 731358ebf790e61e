"""A copy of the SQLite database, made while everything runs, and checked before it gets its name."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.utils import timezone

# A reader of the write-ahead log waits for nobody but a checkpoint.
PATIENCE = 30.0


class BackupFailed(Exception):
    """The sentence says why, and what to do."""


def default_path() -> Path:
    return Path(settings.ENV.var_dir) / "backups" / f"foretell-{timezone.now():%Y%m%d-%H%M%S}.sqlite3"


def copy(database: Path, path: Path) -> dict[str, int]:
    """Copy `database` to `path`, which must not exist yet; the number of rows in each table of the copy.

    Raises:
        BackupFailed: there is no good copy, and nothing stands at `path` that did not before.
    """
    if path.exists():
        raise BackupFailed(f"{path} exists and is left as it is; name another file")
    unchecked = path.with_name(f"{path.name}.unchecked")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write(database, unchecked)
            rows = check(unchecked)
            os.link(unchecked, path)  # unlike a renaming, it replaces nothing
        finally:
            unchecked.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"no copy at {path}: {error}") from error
    return rows


def _write(database: Path, path: Path) -> None:
    # It holds what people asked: made for its owner's eyes only, before anything is in it.
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=PATIENCE)) as source:
        source.execute("VACUUM INTO ?", [str(path)])


def check(path: Path) -> dict[str, int]:
    """The number of rows in each of our tables.

    Raises:
        BackupFailed: SQLite finds the file damaged.
    """
    with closing(sqlite3.connect(path)) as copied:
        found = [row[0] for row in copied.execute("PRAGMA integrity_check(1)")]
        if found != ["ok"]:
            raise BackupFailed(f"the copy is damaged, and so may be the database: {found[0]}")
        names = copied.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'predictions_%' ORDER BY name"
        )
        return {
            name: copied.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - a name of ours
            for (name,) in names.fetchall()
        }
