"""A lock that allows one start for each data folder. A second start would unknowingly share the database and Redis."""

import fcntl
import os
from pathlib import Path


class AlreadyRunsError(Exception):
    """Another process holds the lock; the message says in one sentence what to do."""


def hold(lock: Path) -> None:
    """Take the lock for the rest of this process's life, and for that of the program that it becomes by exec.

    Raises:
        AlreadyRunsError: another process holds the lock.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 20).decode(errors="replace").strip()
        os.close(descriptor)
        raise AlreadyRunsError(
            f"Foretell already runs here (process {holder} holds {lock}): stop it first, or give this start a VAR_DIR"
            " and a PORT of its own."
        ) from None
    os.truncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    os.set_inheritable(descriptor, True)
