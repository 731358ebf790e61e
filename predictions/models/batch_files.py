"""The files of jobs in Django's storage: what was sent, what was converted, and what came out."""

import shutil
from contextlib import suppress
from typing import IO, Any

from django.core.files.base import ContentFile, File
from django.core.files.storage import storages

from predictions.models.batch_job import BatchJob

INPUT = "input"


def _storage() -> Any:
    return storages["batches"]


def save(job: BatchJob, name: str, content: bytes) -> str:
    """The name under which it was kept, within the job's folder."""
    return _kept(job, _storage().save(f"{job.folder}/{name}", ContentFile(content)))


def save_file(job: BatchJob, name: str, file: "File[bytes]") -> str:
    return _kept(job, _storage().save(f"{job.folder}/{name}", file))


def _kept(job: BatchJob, path: str) -> str:
    return path.removeprefix(f"{job.folder}/")


def open_file(job: BatchJob, name: str) -> IO[bytes]:
    opened: IO[bytes] = _storage().open(f"{job.folder}/{name}")
    return opened


def read(job: BatchJob, name: str, offset: int = 0, length: int = -1) -> bytes:
    with open_file(job, name) as file:
        file.seek(offset)
        return file.read(length)


def remove(folder: str) -> None:
    """Delete a job's folder with all its files; one that is not there is no error."""
    storage = _storage()
    with suppress(FileNotFoundError, NotADirectoryError):
        _, names = storage.listdir(folder)
        for name in names:
            storage.delete(f"{folder}/{name}")
        storage.delete(folder)


def free_bytes() -> int | None:
    """Room on the disk; None where the storage is not a folder."""
    try:
        return shutil.disk_usage(_storage().location).free
    except (AttributeError, NotImplementedError, FileNotFoundError):
        return None
