"""Drain a lane: claim queued rows, predict them version by version, settle them. Only workers import this.

A process may die at any line: a claim has a lease, and a settle is guarded by the claim's token.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings

from predictions.models import Claim, Heartbeat, Lane, Prediction
from predictions.models.claim import Predicted
from predictions.models.heartbeat import WORKER
from predictions.queue import completions, notifications
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import preload
from predictions.worker.time_limit import Call, TimeLimit

logger = logging.getLogger(__name__)

# After this time a task notifies the next worker and ends, so that other tasks of the lane run too.
SLICE_SECONDS = 0.5
# While a longer predict call runs, a second worker has time to help.
BUSY_MS = 5.0
# Finished answers are settled before a predict call that takes longer.
LONG_MS = 20.0
BEAT_SECONDS = 10.0

_beat_at = -BEAT_SECONDS
# The milliseconds of each version's last predict call. A version that has none yet must be loaded first.
_last_ms: defaultdict[int, float] = defaultdict(lambda: float("inf"))


def drain_lane(lane: str) -> None:
    """A worker's response to a notification: serve until nothing is queued, wait a moment for more, and end."""
    until = time.monotonic() + SLICE_SECONDS
    notifications.mark_attended(lane)
    will_wait = lane != Lane.BULK  # there, files and comparisons come first
    while is_drained := serve(lane, until, on_saturated=call_for_help, will_wait=will_wait) and _compare(lane, until):
        if time.monotonic() >= until or not notifications.wait_for_work(lane):
            break
    notifications.clear_attended(lane)
    # A row that was committed before the mark was cleared has notified no other worker.
    if not (is_drained and serve(lane, until)):
        notifications.notify(lane)


def _compare(lane: str, until: float) -> bool:
    """Execute shadows and replays, after all other work. Returns as `serve` does. The fallback worker executes none."""
    if lane != Lane.BULK:
        return True
    from predictions.comparison import execution  # noqa: PLC0415 - above this package in the import order

    return execution.run(until)


def call_for_help(lane: str) -> None:
    """Let the next notification reach another worker, and repeat one that this worker has not seen yet."""
    if notifications.clear_attended(lane):
        notifications.notify(lane)


def serve(
    lane: str, until: float, on_saturated: Callable[[str], None] = lambda _: None, *, will_wait: bool = False
) -> bool:
    """Work until nothing is queued (True) or the monotonic time `until` has come (False). Chunks of files come last.

    With `will_wait`, the caller waits for a notification next. The work then ends after a claim that left no row: rows
    that were committed later have notified, and a further claim would find nothing almost always.
    """
    if not _serve_predictions(lane, until, on_saturated, will_wait=will_wait):
        return False
    return lane != Lane.BULK or _serve_chunks(until)


def _serve_chunks(until: float) -> bool:
    from predictions.batches import execution  # noqa: PLC0415 - above this package in the import order

    while execution.run_next():
        if time.monotonic() >= until:
            return False
    return True


def _serve_predictions(lane: str, until: float, on_saturated: Callable[[str], None], *, will_wait: bool) -> bool:
    """Claim, predict and settle until nothing is queued or the time has come.

    One worker for a lane is best, since more rows gather for each claim, until it cannot keep up: then it calls
    `on_saturated`.
    """
    claim = Prediction.objects.claim(lane, settings.MICRO_BATCH)
    while claim:
        logger.debug("claimed %d", len(claim.rows), extra={"predictions": [row.id for row in claim.rows]})
        if is_saturating := _is_saturating(claim):
            on_saturated(lane)
        ready, error = _predict_groups(claim)
        _settle(ready)
        if error:
            raise error
        if time.monotonic() >= until:
            return False
        # A row with a second attempt was claimed alone. Rows behind it may be queued.
        if will_wait and not is_saturating and claim.rows[0].attempts == 1:
            return True
        claim = Prediction.objects.claim(lane, settings.MICRO_BATCH)
    return True


def _is_saturating(claim: Claim) -> bool:
    return len(claim.rows) == settings.MICRO_BATCH or max(_last_ms[version] for version in claim.by_version()) > BUSY_MS


def _predict_groups(claim: Claim) -> tuple[list[Predicted], Exception | None]:
    """Predict version by version, quick ones first. Answers are settled before a group that is expected to take long.

    Returns:
        the groups that are still to be settled, and the first error that is not an outcome. The rows of a group that
        raised are left to their lease; the other groups are predicted all the same.
    """
    ready: list[Predicted] = []
    first_error: Exception | None = None
    for version_id, group in sorted(claim.by_version().items(), key=lambda item: _last_ms[item[0]]):
        if _last_ms[version_id] > LONG_MS and ready:
            _settle(ready)
            ready = []
        try:
            ready.append(answer(version_id, group))
        except Exception as error:  # noqa: BLE001 - it concerns one version; the caller raises it after the settle
            first_error = first_error or error
    return ready, first_error


def _settle(ready: list[Predicted]) -> None:
    """Store the outcomes, and announce them at once, so that requests do not wait for the next claim."""
    if not ready:
        return
    settled = Prediction.objects.settle(ready)
    ids = [row.id for group in ready for row in group.claim.rows]
    # If a row has left the claim meanwhile, this worker does not know its status: the web processes read the rows.
    completions.announce(ids, settled.statuses)
    spent = sum(group.predict_ms for group in ready)
    said = {"predictions": ids}
    logger.info("settled %d of %d versions in %.1f ms", settled.count, len(ready), spent, extra=said)


def answer(version_id: int, claim: Claim) -> Predicted:
    """Predict rows of one version. Returns one outcome for each row, and the milliseconds that they took together."""
    start = time.perf_counter()
    try:
        loaded = preload.load(version_id, claim.rows[0].sha256)
        start = time.perf_counter()
        with time_limit.applied(version_id, claim):
            outcomes = predict(loaded, [row.values for row in claim.rows])
    except ModelUnavailable as error:
        # Either the version could not be loaded; or an answer of the compiled estimator was doubtful, and the estimator
        # itself could not be opened.
        preload.record_failure(version_id, error)
        outcomes = [Outcome(None, error) for _ in claim.rows]
    predict_ms = _last_ms[version_id] = (time.perf_counter() - start) * 1000
    _log_failures(version_id, claim, outcomes)
    return Predicted(claim, outcomes, predict_ms)


def end_call(call: Call) -> None:
    """Settle the rows of a predict call that lasts too long, before its process is killed.

    A row that was predicted alone fails. Several are queued again, and each is then predicted alone.
    """
    rows, spent = call.claim.rows, call.seconds
    logger.error(
        "a predict call of %s with %d row(s) exceeds TIME_LIMIT (%d s): it has taken %.1f s; its process is killed",
        preload.described(call.version_id, rows[0].sha256), len(rows), settings.PREDICT_SECONDS, spent,
        extra={"predictions": [str(row.id) for row in rows]},
    )  # fmt: skip
    if len(rows) == 1 and (failed := Prediction.objects.time_out(call.claim, spent * 1000)):
        completions.announce(failed)
    Prediction.objects.release(call.claim.token)
    for lane in Prediction.objects.waiting_lanes(timedelta(0)):
        notifications.clear_attended(lane)
        notifications.notify(lane)


time_limit = TimeLimit(settings.PREDICT_SECONDS, end_call)


def _log_failures(version_id: int, claim: Claim, outcomes: list[Outcome]) -> None:
    failed: dict[str, list[str]] = {}
    for row, outcome in zip(claim.rows, outcomes, strict=True):
        if outcome.error:
            failed.setdefault(outcome.error.code, []).append(str(row.id))
    for code, ids in failed.items():
        logger.warning("%d of version %d failed: %s", len(ids), version_id, code, extra={"predictions": ids})


def beat(process: str) -> None:
    """Record a heartbeat of this process, at most every `BEAT_SECONDS`. Canaries bring tasks to an idle service too."""
    global _beat_at
    if time.monotonic() - _beat_at >= BEAT_SECONDS:
        _beat_at = time.monotonic()
        held = preload.loader
        Heartbeat.objects.beat(
            f"{WORKER}{process}", loader_bytes=held.size, loader_loads=held.loads, loader_evictions=held.evictions
        )
