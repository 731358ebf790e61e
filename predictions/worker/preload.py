"""Loads versions in this process, before the first prediction and on demand, and records why a version fails."""

import gc
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from predictions.models import ModelVersion, Prediction, version_files
from predictions.models.registered_model import ModelVersionQuerySet
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded, limit_threads
from predictions.serving.schema.errors import ModelUnavailable

logger = logging.getLogger(__name__)

loader = Loader(
    settings.MODELS_DIR,
    settings.LOADER_BYTES,
    use_compiled=settings.INFERENCE_ENGINE == "auto",
    bring=version_files.bring,
)

# Distributions whose estimators start threads that a fork does not copy.
OWN_THREADS = frozenset({"xgboost", "xgboost-cpu", "lightgbm", "catboost"})


@dataclass(frozen=True)
class VersionKey:
    """The key by which the loader finds a version."""

    name: str
    number: int
    sha256: str


@lru_cache(maxsize=1024)
def version_key(version_id: int, sha256: str) -> VersionKey:
    """The key of a version. It is cached for good, since an artefact never changes.

    `sha256` is part of the cache's key: after a database restore, a primary key may name another artefact.
    """
    name, number = ModelVersion.objects.values_list("registered_model__name", "number").get(pk=version_id)
    return VersionKey(name, number, sha256)


def described(version_id: int, sha256: str) -> str:
    """For the log: "churn v3"."""
    key = version_key(version_id, sha256)
    return f"{key.name} v{key.number}"


def load(version_id: int, sha256: str) -> Loaded:
    """The version with this registered artefact, checked and ready.

    Raises:
        ModelUnavailable: it does not serve here.
    """
    key = version_key(version_id, sha256)
    return loader.get(key.name, key.number, key.sha256)


def load_registered(version_id: int) -> Loaded:
    """`load` with the artefact that is registered now.

    Raises:
        ModelUnavailable: it does not serve here.
    """
    return load(version_id, ModelVersion.objects.values_list("sha256", flat=True).get(pk=version_id))


def record_failure(version_id: int, error: ModelUnavailable) -> None:
    """Store why a version does not serve, for analysts. The error of a library goes to the log only."""
    if ModelVersion.objects.mark_unavailable(version_id, error.reason):
        version = ModelVersion.objects.select_related("registered_model").get(pk=version_id)
        logger.warning("%s does not serve: %s", version, error.reason, exc_info=error.__cause__)


def examine(version_id: int) -> bool:
    """Load a version, and mark it as available or not."""
    sha256 = ModelVersion.objects.values_list("sha256", flat=True).get(pk=version_id)
    try:
        load(version_id, sha256)
    except ModelUnavailable as error:
        record_failure(version_id, error)
        return False
    if ModelVersion.objects.mark_available(version_id):
        logger.info("version %d serves", version_id)
    return True


def load_champions() -> None:
    """Load versions before the pool forks, so that the first prediction is quick and the processes share the memory."""
    limit_threads()
    _examine_all(ModelVersion.objects.champions(), lambda version: not _breaks_in_a_fork(version))
    connections.close_all()


def share_memory() -> None:
    """Freeze all objects before the pool forks, so that the garbage collectors of its processes leave them alone."""
    gc.collect()
    gc.freeze()


def load_champions_of_a_child() -> None:
    """Load the champions that cannot be loaded before a fork."""
    _examine_all(ModelVersion.objects.champions(), _breaks_in_a_fork)


def load_awaited() -> None:
    """Load the versions of queued rows: a load counts towards the time limit of the call that needs it."""
    limit_threads()
    _examine_all(ModelVersion.objects.filter(pk__in=Prediction.objects.queued().values("version")), lambda _: True)
    connections.close_all()


def _examine_all(versions: ModelVersionQuerySet, is_wanted: Callable[[ModelVersion], bool]) -> None:
    try:
        for version in versions:
            if is_wanted(version):
                examine(version.pk)
    except DatabaseError as error:
        logger.warning("nothing is loaded yet, the database is away: %s", type(error).__name__)


def _breaks_in_a_fork(version: ModelVersion) -> bool:
    """Boosters hang in a child whose parent has used their threads: dmlc/xgboost#8040, LightGBM#6137."""
    return not OWN_THREADS.isdisjoint(version.manifest["libraries"])


# A claim touches pages all over SQLite's file, so its cache is larger.
_RELAXED = {
    "sqlite": ("PRAGMA synchronous=NORMAL", "PRAGMA cache_size=-8000"),
    "postgresql": ("SET synchronous_commit = off",),
}


def relax_durability() -> None:
    """Let no later commit of this process wait for the disk. Only a process that drains calls it.

    Acceptance alone must survive a power cut: a claim or a settle that is undone is done again.
    """
    connection_created.connect(_relax, dispatch_uid="relaxed durability")


def _relax(connection: BaseDatabaseWrapper, **_: object) -> None:
    with connection.cursor() as cursor:
        for statement in _RELAXED[connection.vendor]:
            cursor.execute(statement)
