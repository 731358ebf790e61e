"""Online backups of the SQLite database. A copy gets its final name only after an integrity check."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.utils import timezone

# Seconds to wait for a lock. In WAL mode only a checkpoint can block a reader.
LOCK_SECONDS = 30.0


class BackupFailed(Exception):
    """There is no usable copy. The message names the cause."""


def default_path() -> Path:
    return Path(settings.ENV.var_dir) / "backups" / f"foretell-{timezone.now():%Y%m%d-%H%M%S}.sqlite3"


def copy(database: Path, path: Path) -> dict[str, int]:
    """Copy `database` to `path`, which must not exist yet. Returns the number of rows in each table of the copy.

    Raises:
        BackupFailed: the copy failed or is damaged. `path` is then unchanged.
    """
    if path.exists():
        raise BackupFailed(f"{path} exists already; choose another file")
    unchecked = path.with_name(f"{path.name}.unchecked")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            _write(database, unchecked)
            rows = check(unchecked)
            os.link(unchecked, path)  # unlike a rename, this never replaces a file
        finally:
            unchecked.unlink(missing_ok=True)
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"no copy at {path}: {error}") from error
    return rows


def _write(database: Path, path: Path) -> None:
    # The copy holds people's inputs: only its owner may read it, from the first byte on.
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS)) as source:
        source.execute("VACUUM INTO ?", [str(path)])


def check(path: Path) -> dict[str, int]:
    """Check the integrity of a copy. Returns the number of rows in each table of the app.

    Raises:
        BackupFailed: the integrity check of SQLite found damage.
    """
    with closing(sqlite3.connect(path)) as copied:
        found = [row[0] for row in copied.execute("PRAGMA integrity_check(1)")]
        if found != ["ok"]:
            raise BackupFailed(f"the copy is damaged, and the database may be too: {found[0]}")
        names = copied.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'predictions_%' ORDER BY name"
        )
        return {
            name: copied.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - the name of a table of this app
            for (name,) in names.fetchall()
        }
