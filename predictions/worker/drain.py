"""Do: claim queued rows, predict them in one call, settle them. The worker's half; the web never imports it.

Any of this may be cut off at any line and done again: a claim has a lease, and a settle is guarded by the claim.
"""

import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from predictions.models import Claim, Heartbeat, ModelVersion, Prediction
from predictions.models.heartbeat import WORKER
from predictions.queue import completions, notifications
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded, limit_threads
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.schema.errors import ModelUnavailable

logger = logging.getLogger(__name__)

# A task that has served one version for this long rings for the next worker and leaves: other versions wait too.
SLICE_SECONDS = 0.5
# A predict call that takes longer leaves a second worker time to help.
BUSY_MS = 5.0
BEAT_SECONDS = 10.0

_beat_at = -BEAT_SECONDS

loader = Loader(settings.MODELS_DIR, settings.LOADER_BYTES, use_compiled=settings.INFERENCE_ENGINE == "auto")


@dataclass(frozen=True)
class Served:
    """What a version is loaded by. A version never changes, so this is kept for good."""

    name: str
    number: int
    sha256: str


@lru_cache(maxsize=1024)
def described(version_id: int) -> Served:
    version = ModelVersion.objects.select_related("registered_model").only(
        "number", "sha256", "registered_model__name"
    ).get(pk=version_id)  # fmt: skip
    return Served(version.registered_model.name, version.number, version.sha256)


def drain_lane(version_id: int, lane: str) -> None:
    """A worker's answer to the bell: serve until nothing is queued, linger, go where another ring calls, and leave."""
    until = time.monotonic() + SLICE_SECONDS
    called_to = _attend(version_id, lane, until)
    while called_to is not None and time.monotonic() < until:
        called_to = _attend(called_to, lane, until)
    if called_to is not None:
        notifications.ring(called_to, lane)


def _attend(version_id: int, lane: str, until: float) -> int | None:
    """Serve one version until nothing more is queued or the time is over; the other version that called, if one did."""
    notifications.attend(version_id, lane)
    called_to = None
    while is_served := serve(version_id, lane, until, on_saturated=notifications.leave):
        called_to = notifications.linger(version_id, lane)
        if called_to != version_id:
            break
    notifications.leave(version_id, lane)
    # The slice is over; or the sign is down, and a row that was committed before it was is still to be claimed.
    if not (is_served and serve(version_id, lane, until)):
        notifications.ring(version_id, lane)
    return notifications.errand(lane) if called_to in (None, version_id) else called_to


def serve(version_id: int, lane: str, until: float, on_saturated: Callable[[int, str], None] | None = None) -> bool:
    """Claim, predict and settle until nothing is queued (True) or `until`, by the monotonic clock, has come (False).

    A settle and the next claim share one transaction: half as many commits. One worker for a version is best, since
    more rows gather for each claim, until it cannot keep up: then it calls `on_saturated`.
    """
    claim = Prediction.objects.claim(version_id, lane, settings.MICRO_BATCH)
    while claim:
        said = {"predictions": [str(row.id) for row in claim.rows]}
        logger.debug("claimed %d of version %d", len(claim.rows), version_id, extra=said)
        outcomes, predict_ms = answer(version_id, claim)
        if on_saturated and (predict_ms > BUSY_MS or len(claim.rows) == settings.MICRO_BATCH):
            on_saturated(version_id, lane)
        is_over = time.monotonic() >= until
        with transaction.atomic():
            settled = Prediction.objects.settle(claim, outcomes, predict_ms)
            following = None if is_over else Prediction.objects.claim(version_id, lane, settings.MICRO_BATCH)
        completions.announce(row.id for row in claim.rows)
        logger.info("settled %d of version %d in %.1f ms", settled, version_id, predict_ms, extra=said)
        if is_over:
            return False
        claim = following
    return True


def answer(version_id: int, claim: Claim) -> tuple[list[Outcome], float]:
    """One outcome for each row of the claim, and the milliseconds that they took together."""
    start = time.perf_counter()
    try:
        loaded = load(version_id)
        start = time.perf_counter()
        outcomes = predict(loaded, [row.values for row in claim.rows])
    except ModelUnavailable as error:
        # Not loaded; or what answers instead of the estimator was in doubt, and the estimator could not be opened.
        note(version_id, error)
        outcomes = [Outcome(None, error) for _ in claim.rows]
    predict_ms = (time.perf_counter() - start) * 1000
    failed: dict[str, list[str]] = {}
    for row, outcome in zip(claim.rows, outcomes, strict=True):
        if outcome.error:
            failed.setdefault(outcome.error.code, []).append(str(row.id))
    for code, ids in failed.items():
        logger.warning("%d of version %d failed: %s", len(ids), version_id, code, extra={"predictions": ids})
    return outcomes, predict_ms


def beat(process: str) -> None:
    """A sign of life of this process, now and then: its canaries alone bring a worker so much to do."""
    global _beat_at
    if time.monotonic() - _beat_at >= BEAT_SECONDS:
        _beat_at = time.monotonic()
        Heartbeat.objects.beat(f"{WORKER}{process}", loader_bytes=loader.size)


def load(version_id: int) -> Loaded:
    """The version, checked and ready.

    Raises:
        ModelUnavailable: it does not serve here.
    """
    served = described(version_id)
    return loader.get(served.name, served.number, served.sha256)


def note(version_id: int, error: ModelUnavailable) -> None:
    """Keep why a version does not serve where analysts see it. What a library said of it stays in the log."""
    if ModelVersion.objects.mark_unavailable(version_id, error.reason):
        served = described(version_id)
        logger.warning("%s v%d does not serve: %s", served.name, served.number, error.reason, exc_info=error.__cause__)


def examine(version_id: int) -> bool:
    """Try a version that did not serve, and let it serve if it does now."""
    try:
        load(version_id)
    except ModelUnavailable as error:
        note(version_id, error)
        return False
    if ModelVersion.objects.mark_available(version_id):
        logger.info("version %d serves", version_id)
    return True


def prepare() -> None:
    """Before the pool forks: load the champions, so that the first prediction is quick and the pages are shared."""
    limit_threads()
    try:
        for version in ModelVersion.objects.champions():
            examine(version.pk)
    except DatabaseError as error:
        logger.warning("nothing is loaded yet, the database is away: %s", type(error).__name__)
    connections.close_all()
    gc.collect()
    gc.freeze()


@receiver(connection_created)
def set_worker_pragmas(connection: BaseDatabaseWrapper, **_: object) -> None:
    """Only an acceptance must survive a power cut: a claim or a settle that one undoes is simply done again.

    And a claim touches pages all over the file.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute("PRAGMA cache_size=-8000")
