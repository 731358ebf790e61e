"""Keeps files private to the user of the service: the database, the secret key, Redis's data, uploads, backups."""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_private(folder: Path) -> None:
    """Create the folder if it is missing. Other users may read neither it nor any file that this process creates.

    If other users could access an existing folder, its files are closed to them too. A folder of another owner, such as
    a mounted volume, and a shared folder, such as /tmp, stay as they are.
    """
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == os.getuid() and not status.st_mode & stat.S_ISVTX and status.st_mode & 0o077:
        _close(folder)


def _close(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        with suppress(FileNotFoundError, PermissionError):  # removed meanwhile, or of another owner
            if not path.is_symlink():
                path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
