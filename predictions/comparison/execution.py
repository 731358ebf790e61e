"""Executes shadows and replays, batch by batch, after all other work of the bulk lane. Only workers import this.

A process may die at any line. The answers and the position are stored in one transaction, so a lost batch is repeated.
"""

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError

from predictions.comparison.answering import answer_again, clean
from predictions.lifecycle import challenger, registry
from predictions.models import ComparedAnswer, Comparison, Prediction, clock
from predictions.models.comparison import BACKLOG, Kind
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.errors import InvalidInput, ModelUnavailable, WorkerLost
from predictions.serving.schema.signature import Value
from predictions.worker import preload

logger = logging.getLogger(__name__)

# Predictions that one batch looks at, and about how long its predict call may take.
ROWS = 256
BATCH_MS = 500.0
# How many rows of a batch are timed, with both versions.
MEASURED = 3
# While predictions have waited for this long, comparisons wait.
LATE = timedelta(seconds=1)
# If this many workers have died at one batch, the comparison ends.
MOST_ATTEMPTS = 3


def run(until: float) -> bool:
    """Work until nothing is due (True) or the monotonic time `until` has come (False)."""
    while time.monotonic() < until:
        began = time.monotonic()
        if not run_next():
            return True
        # This loop sleeps as long as it works. So it uses at most half of one core, also on a small machine.
        time.sleep(time.monotonic() - began)
    return False


def run_next() -> bool:
    """One batch of one comparison; False if none is due, or predictions wait."""
    if Prediction.objects.waiting_lanes(LATE):
        return False
    found = Comparison.objects.claim()
    if found is None:
        return False
    try:
        return _step(found)
    except ModelUnavailable as error:
        preload.record_failure(found.version_id, error)
        _end(found, error.code, f"It does not serve: {error.reason}")
    except IntegrityError:  # a prediction was removed meanwhile
        found.let_go()
    return True


def _step(found: Comparison) -> bool:
    if found.attempts > MOST_ATTEMPTS:
        _end(found, WorkerLost.code, f"Its answers have cost {MOST_ATTEMPTS} workers.")
        return True
    rows = registry.attach_versions(found.following()[: _limit(found)])
    if not rows:
        return _pause(found)
    if found.kind == Kind.SHADOW and _is_old(rows[0]):
        return found.pass_over()
    chosen = [row for row in rows if row.pk.int % 100 < found.percent]
    answers = _answers(found, chosen) if chosen else []
    return found.settle(answers, (rows[-1].finished_at, rows[-1].pk))


def _pause(found: Comparison) -> bool:
    """No predictions are left: a replay is done, a shadow goes on later."""
    if found.kind == Kind.REPLAY:
        _end(found)
        return True
    found.let_go()
    return False


def _limit(found: Comparison) -> int:
    """As many rows as make the chosen ones take about `BATCH_MS`; for a replay no more than it still wants."""
    alone = found.version.manifest.get("predict_ms") or 1.0
    most = max(int(BATCH_MS / alone), 1) * 100 // max(found.percent, 1)
    left = found.wanted - found.done if found.kind == Kind.REPLAY else ROWS
    return max(min(most, ROWS, left), 0)


def _is_old(row: Prediction) -> bool:
    return row.finished_at is not None and row.finished_at < clock.now() - BACKLOG


def _end(found: Comparison, error_code: str = "", reason: str = "") -> None:
    """End a comparison. If a shadow ends with an error, the history of the model gets an event."""
    Comparison.objects.filter(pk=found.pk).open().end(error_code)
    if reason:
        logger.warning("the %s of %s has ended: %s", found.kind, found.version, reason)
    if reason and found.kind == Kind.SHADOW:
        challenger.record_end_of_shadow(found.version, reason)


# --- Answers ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one predict call on one row, by each version."""

    before: float | None
    after: float


def _answers(found: Comparison, rows: Sequence[Prediction]) -> list[ComparedAnswer]:
    loaded = preload.load(found.version_id, found.version.sha256)
    outcomes = answer_again(loaded, rows)
    times = _times_of_some(loaded, rows)
    return [
        ComparedAnswer(
            original_id=row.pk,
            version_id=found.version_id,
            output=outcome.output,
            error_code=outcome.error.code if outcome.error else "",
            before_ms=times[row.pk].before if row.pk in times else None,
            after_ms=times[row.pk].after if row.pk in times else None,
        )
        for row, outcome in zip(rows, outcomes, strict=True)
    ]


def _times_of_some(loaded: Loaded, rows: Sequence[Prediction]) -> dict[uuid.UUID, Times]:
    """The times of the first rows, of those that fit the version."""
    times: dict[uuid.UUID, Times] = {}
    for row in rows[:MEASURED]:
        values = clean(row, loaded.manifest.signature)
        if not isinstance(values, InvalidInput):
            times[row.pk] = Times(_before(row), _milliseconds(loaded, values))
    return times


def _before(row: Prediction) -> float | None:
    """The milliseconds of the version that answered the prediction; None if it does not serve here."""
    try:
        return _milliseconds(preload.load(row.version_id, row.version.sha256), row.values)
    except ModelUnavailable:
        return None


def _milliseconds(loaded: Loaded, values: list[Value]) -> float:
    predict(loaded, [values])  # the first call of a process is slower
    began = time.perf_counter()
    predict(loaded, [values])
    return (time.perf_counter() - began) * 1000
