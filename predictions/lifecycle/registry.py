"""Which models and versions exist (by the folders), and which version serves (by the database), cached for the web."""

import hashlib
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from django.db import transaction

from predictions.models import ModelVersion, Prediction, RegisteredModel, version_files
from predictions.serving.artifacts import repository
from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.artifacts.repository import BrokenFile, OutdatedVersion

logger = logging.getLogger(__name__)

# Every process sees a promotion within `FRESH_SECONDS`, and a changed text of model.toml within `WORDS_SECONDS`.
FRESH_SECONDS = 1.0
WORDS_SECONDS = 30.0
# The estimator does not depend on these members of a feature, so they may change after a version was made.
WORDS = ("label", "unit", "help", "group", "immutable", "direction", "step")

_lock = threading.Lock()
_models: dict[str, tuple[float, RegisteredModel]] = {}
# The names of the models that `cached` has returned since the last read.
_asked: set[str] = set()
_versions: dict[int, tuple[float, ModelVersion]] = {}


# --- Looking up -------------------------------------------------------------------------------------------------------
def find(name: str) -> RegisteredModel:
    """The registered model of that name, with its champion and its challenger.

    Raises:
        RegisteredModel.DoesNotExist: no such model is here.
    """
    return cached(name) or _read(name)


def _read(name: str) -> RegisteredModel:
    """Read a model, together with all models that were asked for since the last read.

    Django takes a millisecond to build the statement, and the database a tenth of that for each model. With many models
    in use, one statement for each model would take a quarter of a web process's time.

    Raises:
        RegisteredModel.DoesNotExist: no such model is here.
    """
    with _lock:
        names = {name, *_asked}
        _asked.clear()
    listed = RegisteredModel.objects.listed().filter(name__in=names).select_related("challenger")
    found = {model.name: model for model in listed.defer("champion__manifest", "challenger__manifest")}
    for model in found.values():
        if model.champion:
            model.champion = _with_manifest(model.champion)
        if model.challenger:
            model.challenger = _with_manifest(model.challenger)
    now = time.monotonic()
    with _lock:
        _models.update({own_name: (now, model) for own_name, model in found.items()})
    if name not in found:
        raise RegisteredModel.DoesNotExist(name)
    return found[name]


def _with_manifest(found: ModelVersion) -> ModelVersion:
    """The cached version, which has its manifest, with its present `unavailable_reason`."""
    known = version(found.pk, found.sha256)
    known.unavailable_reason = found.unavailable_reason
    return known


def cached(name: str) -> RegisteredModel | None:
    """The model from memory, if it was read within `FRESH_SECONDS`; None otherwise."""
    known = _models.get(name)
    if known is None or time.monotonic() - known[0] >= FRESH_SECONDS:
        return None
    _asked.add(name)
    return known[1]


def champion(model: RegisteredModel) -> ModelVersion | None:
    """The version that serves, if one does and the model is not paused."""
    if model.paused_reason:
        return None
    found = model.champion
    return found if found is not None and found.is_available else None


def version_for(model: RegisteredModel, caller: str) -> ModelVersion | None:
    """The version that answers a caller, available or not: the champion, or in a canary the challenger."""
    challenger = model.challenger if model.canary_percent else None
    is_chosen = challenger is not None and place_of(model.name, caller) < model.canary_percent
    return challenger if challenger is not None and is_chosen and challenger.is_available else model.champion


def serving_for(model: RegisteredModel, caller: str) -> ModelVersion | None:
    """`version_for`, if that version serves and the model is not paused."""
    found = version_for(model, caller)
    return found if found is not None and found.is_available and not model.paused_reason else None


def place_of(model: str, caller: str) -> int:
    """A number from 0 to 99, always the same for a caller and a model. A canary of n percent has the places below n."""
    digest = hashlib.blake2b(f"{model}\n{caller}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100


def version(version_id: int, sha256: str | None = None) -> ModelVersion:
    """A version with its model. The manifest is large and changes rarely, so it is not read for every request.

    Args:
        sha256: of its artefact, as read just now. After a database restore the primary key may name another artefact;
            then the version is read again.
    """
    known = _versions.get(version_id)
    is_fresh = known is not None and time.monotonic() - known[0] < WORDS_SECONDS
    if known and is_fresh and sha256 in (None, known[1].sha256):
        return known[1]
    found = ModelVersion.objects.select_related("registered_model").get(pk=version_id)
    with _lock:
        _versions[version_id] = time.monotonic(), found
    return found


def attach_versions(predictions: Iterable[Prediction]) -> list[Prediction]:
    """The predictions with their versions, without a join."""
    found = list(predictions)
    for prediction in found:
        prediction.version = version(prediction.version_id)
    return found


def clear_cache() -> None:
    """Read models and versions anew. Call it after a change in this process."""
    with _lock:
        _models.clear()
        _versions.clear()
        _asked.clear()


# --- Changing ---------------------------------------------------------------------------------------------------------
def sync(root: Path) -> list[BrokenFile]:
    """Update the rows from the folders. Returns the files that could not be read; their rows are unchanged.

    With a storage of artefacts, the versions of other machines are copied from it first, and new versions of this
    machine are stored in it. A model's first version serves at once; later ones wait to be promoted.
    """
    broken = _share(root)
    descriptions = repository.descriptions(root, broken.append)
    unreadable = {error.path.parent.name for error in broken}
    for position, description in enumerate(descriptions):
        # Files are read before the transaction begins: SQLite has one writer at a time.
        manifests = repository.manifests(root, description.name, partial(_note_broken, broken))
        _sync_model(description, position, manifests)
    seen = {description.name for description in descriptions} | unreadable
    RegisteredModel.objects.exclude(name__in=seen).update(is_present=False)
    clear_cache()
    return broken


def _share(root: Path) -> list[BrokenFile]:
    """Exchange versions with the storage of artefacts. If it does not answer, those on this machine are still used."""
    try:
        version_files.pull(root)
        return version_files.publish(root)
    except version_files.StorageUnavailable as error:
        return [BrokenFile(root, [str(error)])]


@transaction.atomic
def _sync_model(description: Description, position: int, manifests: Sequence[Manifest]) -> None:
    said = description.model_dump(mode="json", by_alias=True)
    model, _ = RegisteredModel.objects.update_or_create(
        name=description.name,
        defaults={
            "title": description.title,
            "summary": description.summary,
            "task": description.task,
            "description": {part: said[part] for part in ("target", "examples", "card", "matrix")},
            "position": position,
            "is_present": True,
        },
    )
    versions = [_sync_version(model, description, manifest) for manifest in manifests]
    if versions and (model.champion is None or _is_outdated(model.champion)):
        model.promote(versions[-1])


def _note_broken(broken: list[BrokenFile], error: BrokenFile) -> None:
    """An outdated version is not a broken file: its row stays, and the loader refuses it with the remedy."""
    if isinstance(error, OutdatedVersion):
        logger.info("Not read: %s", error)
    else:
        broken.append(error)


def _is_outdated(version: ModelVersion) -> bool:
    return "input_schema" not in version.manifest


def _sync_version(model: RegisteredModel, description: Description, manifest: Manifest) -> ModelVersion:
    found, is_new = ModelVersion.objects.get_or_create(
        registered_model=model,
        number=manifest.version,
        defaults={
            "sha256": manifest.sha256,
            "created_at": manifest.created_at,
            "manifest": _kept(description, manifest),
        },
    )
    if found.sha256 != manifest.sha256:
        # The row is the registration: a file that differs is not the version that was registered.
        logger.error("%s v%d: version.json names another artefact than was registered", model.name, manifest.version)
    elif not is_new and found.manifest != (kept := _kept(description, manifest)):
        ModelVersion.objects.filter(pk=found.pk).update(manifest=kept)
    return found


def _kept(description: Description, manifest: Manifest) -> dict[str, Any]:
    """The part of version.json that the web needs, with the current wording of model.toml."""
    said = manifest.model_dump(mode="json", exclude={"golden", "background"})
    said["signature"] = [
        {**feature, **_words(description, feature["name"], feature["kind"])} for feature in said["signature"]
    ]
    return said


def _words(description: Description, name: str, kind: str) -> dict[str, Any]:
    now = description.signature.by_name.get(name)
    if now is None or now.kind != kind:
        return {}
    return {word: getattr(now, word) for word in WORDS if hasattr(now, word)}
