"""The database is away, or its disk is full. What cannot be kept is refused, at once and honestly."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.settings import DATABASE_SECONDS
from tests.chaos.scenario import NotRunHere, Scene, scenario
from tests.chaos.stage import Stage
from tests.support.stack import Stack, connected

LONGEST = DATABASE_SECONDS + 1.0
DISK_MEGABYTES = 96


@scenario("T8", seconds=12, quick_seconds=9, longest=LONGEST, refuses=True)
def database_pauses(scene: Scene) -> None:
    """SQLite's write lock is held, or all processes of PostgreSQL are frozen: nothing is accepted, nothing hangs."""
    scene.rest(3.0)
    with scene.stage.paused_database(scene.stack):
        scene.strike()
        start = time.time()
        scene.rest(scene.seconds)
        end = time.time()
    scene.rest(3.0)
    scene.check(not scene.ledger.accepted_between(start + 0.2, end), "nothing is accepted while nothing can be kept")
    scene.check(scene.ledger.refused, "what cannot be kept is refused with a time to come back")


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Stack]:
    """A stack whose database, Redis and logs lie on a file system of a few megabytes."""
    if os.getuid() != 0:
        raise NotRunHere("only root may mount the small disk that is filled")
    with tempfile.TemporaryDirectory(prefix="foretell-disk-") as mount:
        options = f"size={DISK_MEGABYTES}m"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], capture_output=True, text=True
        )
        if mounted.returncode:
            raise NotRunHere(f"no disk can be mounted here ({mounted.stderr.strip()})")
        try:
            with stage.stack(Path(mount)) as stack:
                yield stack
        finally:
            subprocess.run(["umount", "--lazy", mount], check=True)


@scenario(
    "T14", seconds=10, longest=LONGEST, refuses=True, opens=_small_disk,
    only_on=("sqlite", "a PostgreSQL whose disk is full stops by itself; starting it again is its operator's task"),
)  # fmt: skip
def disk_is_full(scene: Scene) -> None:
    """The disk of the database, of Redis and of the logs is filled to the last byte, and freed later."""
    ballast = scene.stack.var_dir / "ballast"
    scene.strike()
    _fill(ballast)
    scene.rest(scene.seconds)
    scene.check(scene.ledger.refused, "what cannot be kept is refused with a time to come back")
    ballast.unlink()
    scene.rest(2.0)
    with connected(scene.stack.database_url) as connection:
        scene.check(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is whole")


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1_000_000, 1_000):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
