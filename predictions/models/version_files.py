"""The files of versions in Django's storage `artefacts`: one machine stores a version, and others copy it from there.

The storage has the folders of registered models as `serving.artifacts.repository` describes them. A file is first
copied to a temporary file, then compared with the SHA-256 in the version's manifest, and then moved to its place.
Without `ARTEFACT_STORAGE`, this module does nothing: the folders are on this machine, or on a disk that all share.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import storages

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import MANIFEST, Manifest
from predictions.serving.artifacts.repository import BrokenFile
from predictions.serving.schema.errors import ModelUnavailable

logger = logging.getLogger(__name__)

STORAGE = "artefacts"
WORDS = (repository.DESCRIPTION, repository.CARD)
PIECE = 1024 * 1024


class StorageUnavailable(Exception):
    """The storage of artefacts does not answer, or refuses a request."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"The storage of artefacts (ARTEFACT_STORAGE) cannot be used: {type(error).__name__}; the log says why. "
            f"Versions of other machines come when it answers and manage.py sync_models runs."
        )


@contextmanager
def _answering() -> Iterator[None]:
    """Turn every error into StorageUnavailable, since each storage has its own classes of errors."""
    try:
        yield
    except Exception as error:
        logger.exception("the storage of artefacts cannot be used")
        raise StorageUnavailable(error) from error


def is_used() -> bool:
    return STORAGE in settings.STORAGES


# --- From the storage -------------------------------------------------------------------------------------------------
def pull(root: Path) -> None:
    """Copy the descriptions and manifests that are not here yet. `bring` copies the large files when they are needed.

    Raises:
        StorageUnavailable: the storage does not answer. Files that were not copied yet are missing here.
    """
    if not is_used():
        return
    with _answering():
        for name in filter(repository.is_name, _folders("")):
            for number in filter(str.isdigit, _folders(f"{name}/{repository.VERSIONS}")):
                _bring_words(root, name, int(number))


def bring(root: Path, name: str, number: int) -> None:
    """Copy the files of a version that are not here yet.

    Raises:
        ModelUnavailable: the storage does not answer, lacks a file, or has other content than the manifest names.
        BrokenFile: the manifest cannot be read.
    """
    if not is_used():
        return
    try:
        _bring_words(root, name, number)
        manifest = repository.manifest(root, name, number)
        for file, sha256 in manifest.files.items():
            _copy(root, f"{_folder(name, number)}/{file}", sha256)
    except (ModelUnavailable, BrokenFile):
        raise
    except FileNotFoundError as error:
        raise ModelUnavailable(f"Version {number} of {name} is not whole in the storage of artefacts.") from error
    except Exception as error:  # each storage has errors of its own
        raise ModelUnavailable(
            f"Version {number} of {name} cannot be copied from the storage of artefacts; the log says why."
        ) from error


def _bring_words(root: Path, name: str, number: int) -> None:
    _copy(root, f"{name}/{repository.DESCRIPTION}")
    with suppress(FileNotFoundError):  # not every model has a card
        _copy(root, f"{name}/{repository.CARD}")
    _copy(root, f"{_folder(name, number)}/{MANIFEST}")


def _copy(root: Path, path: str, sha256: str | None = None) -> None:
    """Copy a file unless it is here. One that is here stays: the loader compares it with the registered hash."""
    target = root / path
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=".incoming-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            found = _write(path, file)
            os.fsync(file.fileno())
        if sha256 not in (None, found):
            raise ModelUnavailable(f"{path} in the storage of artefacts has the SHA-256 {found}, not {sha256}.")
        Path(temporary).chmod(0o644 if path.endswith(WORDS) else 0o444)
        Path(temporary).replace(target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _write(path: str, file: Any) -> str:
    """Copy a file of the storage piece by piece. Returns its SHA-256."""
    digest = hashlib.sha256()
    with storages[STORAGE].open(path) as source:
        while piece := source.read(PIECE):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


# --- To the storage ---------------------------------------------------------------------------------------------------
def publish(root: Path) -> list[BrokenFile]:
    """Store the versions of this machine that the storage does not have.

    Returns those whose number another machine has used for another version meanwhile.

    Raises:
        StorageUnavailable: the storage does not answer. The next call stores the rest.
    """
    taken: list[BrokenFile] = []
    if not is_used():
        return taken
    with _answering():
        for manifest in _manifests(root):
            if not _is_stored(manifest):
                _store(root, manifest)
            elif _stored_hash(manifest) != manifest.sha256:
                taken.append(_taken(root, manifest))
    return taken


def _manifests(root: Path) -> Iterator[Manifest]:
    """The manifests of all versions that can be read here."""
    for description in sorted(root.glob(f"[!._]*/{repository.DESCRIPTION}")):
        yield from repository.manifests(root, description.parent.name, lambda _: None)


def _is_stored(manifest: Manifest) -> bool:
    """Whether the storage has this version. Its manifest is stored last, so the other files are there too."""
    return bool(storages[STORAGE].exists(f"{_folder(manifest.model, manifest.version)}/{MANIFEST}"))


def _stored_hash(manifest: Manifest) -> str:
    with storages[STORAGE].open(f"{_folder(manifest.model, manifest.version)}/{MANIFEST}") as file:
        return Manifest.model_validate_json(file.read()).sha256


def _store(root: Path, manifest: Manifest) -> None:
    folder = _folder(manifest.model, manifest.version)
    words = [f"{manifest.model}/{name}" for name in WORDS if (root / manifest.model / name).is_file()]
    for path in [*(f"{folder}/{file}" for file in manifest.files), *words, f"{folder}/{MANIFEST}"]:
        storage = storages[STORAGE]
        if storage.exists(path):  # of an interrupted attempt, or an earlier wording
            storage.delete(path)
        with (root / path).open("rb") as file:
            storage.save(path, File(file))


def _taken(root: Path, manifest: Manifest) -> BrokenFile:
    path = repository.artefact(root, manifest.model, manifest.version, MANIFEST)
    problem = (
        f"the storage of artefacts has another version {manifest.version} of {manifest.model}, from another machine: "
        f"remove this folder, and register it again"
    )
    return BrokenFile(path, [problem])


def _folder(name: str, number: int) -> str:
    return f"{name}/{repository.VERSIONS}/{number}"


def _folders(path: str) -> Iterator[str]:
    with suppress(FileNotFoundError):
        yield from storages[STORAGE].listdir(path)[0]
