"""Writes versions into the folders of registered models: a version appears whole, and never changes."""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import CODE, COMPILED, ESTIMATOR, MANIFEST, Manifest
from predictions.serving.artifacts.sureness import ARRAYS


def write_version(
    root: Path,
    draft: Manifest,
    estimator: bytes,
    compiled: bytes | None = None,
    code: Mapping[str, bytes] = MappingProxyType({}),
    sureness: bytes | None = None,
) -> Manifest:
    """Stores a version under the next free number and returns the manifest with that number.

    The draft's own number is ignored. The folder appears whole or not at all, is never overwritten,
    and two trainings that end together get two numbers. Raises NoSuchModel.
    """
    versions = repository.folder(root, draft.model) / repository.VERSIONS
    versions.mkdir(exist_ok=True)
    incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=versions))
    try:
        _write(incoming / ESTIMATOR, estimator)
        if compiled is not None:
            _write(incoming / COMPILED, compiled)
        if sureness is not None:
            _write(incoming / ARRAYS, sureness)
        for path, source in code.items():
            _write(incoming / CODE / path, source)
        return _claim_number(versions, incoming, draft)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _claim_number(versions: Path, incoming: Path, draft: Manifest) -> Manifest:
    incoming.chmod(0o755)
    while True:
        number = max(repository.numbers(versions), default=0) + 1
        numbered = draft.model_copy(update={"version": number})
        _write(incoming / MANIFEST, numbered.model_dump_json(indent=1).encode())
        try:
            # Renaming onto a folder that is not empty fails: the second of two takes the next number.
            incoming.rename(versions / str(number))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            _sync(versions)
            return numbered


def _write(path: Path, content: bytes) -> None:
    """Writes a file to the disk and makes it read-only, since versions do not change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o444)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
