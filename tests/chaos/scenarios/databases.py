"""The database is unavailable, or its disk is full. Rows that cannot be stored are refused quickly."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.settings import DATABASE_SECONDS
from tests.chaos.scenario import NotRunnable, Scene, scenario
from tests.chaos.stage import Stage
from tests.support.stack import Stack, connected

LONGEST = DATABASE_SECONDS + 1.0
DISK_MEGABYTES = 96


@scenario("T8", seconds=12, quick_seconds=9, longest=LONGEST, refuses=True)
def database_pauses(scene: Scene) -> None:
    """SQLite's write lock is held, or PostgreSQL's processes are suspended: no row is accepted, no request hangs."""
    scene.pause(3.0)
    with scene.stage.paused_database(scene.stack):
        scene.mark_fault()
        start = time.time()
        scene.pause(scene.seconds)
        end = time.time()
    scene.pause(3.0)
    scene.check(not scene.ledger.accepted_between(start + 0.2, end), "no row is accepted while no row can be stored")
    scene.check(scene.ledger.refused, "rows that cannot be stored are refused with Retry-After")


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Stack]:
    """A stack whose database, Redis and logs are on a file system of a few megabytes."""
    if os.getuid() != 0:
        raise NotRunnable("only root can mount the small file system")
    with tempfile.TemporaryDirectory(prefix="foretell-disk-") as mount:
        options = f"size={DISK_MEGABYTES}m"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", mount], capture_output=True, text=True
        )
        if mounted.returncode:
            raise NotRunnable(f"the small file system cannot be mounted ({mounted.stderr.strip()})")
        try:
            with stage.stack(Path(mount)) as stack:
                yield stack
        finally:
            subprocess.run(["umount", "--lazy", mount], check=True)


@scenario(
    "T14", seconds=10, longest=LONGEST, refuses=True, opens=_small_disk,
    only_on=("sqlite", "PostgreSQL stops when its disk is full, and its operator must start it again"),
)  # fmt: skip
def disk_is_full(scene: Scene) -> None:
    """The disk of the database, Redis and the logs is filled to the last byte, and freed later."""
    ballast = scene.stack.var_dir / "ballast"
    scene.mark_fault()
    _fill(ballast)
    scene.pause(scene.seconds)
    scene.check(scene.ledger.refused, "rows that cannot be stored are refused with Retry-After")
    ballast.unlink()
    scene.pause(2.0)
    with connected(scene.stack.database_url) as connection:
        scene.check(connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is intact")


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (1_000_000, 1_000):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
