"""The files of batch jobs in Django's storage: uploads, converted parts, and results."""

import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import storages
from django.utils import timezone

from predictions.models.batch_job import FOLDER, BatchJob
from predictions.models.tombstone import Tombstone

INPUT = "input"
# Jobs that one query looks up.
LOT = 500
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _storage() -> Any:
    return storages["batches"]


def save(job: BatchJob, name: str, content: bytes) -> str:
    """Store a file in the job's folder. Returns its name there, which may differ from `name`."""
    return _kept(job, _storage().save(f"{job.folder}/{name}", ContentFile(content)))


def save_file(job: BatchJob, name: str, file: "File[bytes]") -> str:
    return _kept(job, _storage().save(f"{job.folder}/{name}", file))


def _kept(job: BatchJob, path: str) -> str:
    return path.removeprefix(f"{job.folder}/")


def open_file(job: BatchJob, name: str) -> IO[bytes]:
    opened: IO[bytes] = _storage().open(f"{job.folder}/{name}")
    return opened


def remove_file(job: BatchJob, name: str) -> None:
    _storage().delete(f"{job.folder}/{name}")


def read(job: BatchJob, name: str, offset: int = 0, length: int = -1) -> bytes:
    with open_file(job, name) as file:
        file.seek(offset)
        return file.read(length)


# --- Drafts: files that a person previews before sending them ---------------------------------------------------------
def save_draft(name: str, file: "File[bytes]") -> None:
    _storage().save(f"drafts/{name}", file)


def open_draft(name: str) -> IO[bytes] | None:
    """The file of a draft; None if it was deleted."""
    try:
        opened: IO[bytes] = _storage().open(f"drafts/{name}")
    except FileNotFoundError:
        return None
    return opened


def remove_draft(name: str) -> None:
    _storage().delete(f"drafts/{name}")


def remove_old_drafts(age: timedelta) -> int:
    """Delete the drafts that are older than `age`. Returns their number."""
    storage = _storage()
    try:
        _, names = storage.listdir("drafts")
    except FileNotFoundError:
        return 0
    old = [name for name in names if storage.get_modified_time(f"drafts/{name}") < timezone.now() - age]
    for name in old:
        storage.delete(f"drafts/{name}")
    return len(old)


def remove(folder: str) -> None:
    """Delete a job's folder with all its files. A missing folder is no error, and neither is a folder that gets another
    file meanwhile: `remove_strays` deletes that.
    """
    storage = _storage()
    with suppress(FileNotFoundError, NotADirectoryError):
        _, names = storage.listdir(folder)
        for name in names:
            storage.delete(f"{folder}/{name}")
        with suppress(OSError):
            storage.delete(folder)


def remove_strays() -> int:
    """Delete the files of jobs that were removed. Returns the number of jobs.

    A worker may write a result after its job was erased, and a deleted user's jobs go without their files. Only a job
    with a tombstone counts as removed: a job that is unknown may be in the database of another process.
    """
    try:
        names, _ = _storage().listdir(FOLDER)
    except FileNotFoundError:
        return 0
    strays = list(_removed(names))
    for name in strays:
        remove(f"{FOLDER}/{name}")
    return len(strays)


def _removed(names: Sequence[str]) -> Iterator[uuid.UUID]:
    ids = [name for name in names if _ID.fullmatch(name)]
    for start in range(0, len(ids), LOT):
        yield from Tombstone.objects.filter(pk__in=ids[start : start + LOT]).values_list("pk", flat=True)


def free_bytes() -> int | None:
    """The free space on the disk, in bytes; None if the storage is not a folder."""
    try:
        folder = Path(_storage().location)
    except (AttributeError, NotImplementedError):
        return None
    # The folder may not exist yet: the first file creates it.
    return shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free
