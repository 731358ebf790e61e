"""Counts ended predictions for /metrics, each once: the counters must not shrink when rows are deleted.

The maintenance process counts the time since its last run, so /metrics costs the same for any number of rows.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from predictions.models import MetricHistogram, Prediction, Watermark

WATERMARK = "histograms"
# A row becomes visible a moment after its `finished_at`. It is counted when this time has passed.
LAG = timedelta(seconds=10)
# The shortest and the longest time that one transaction counts, and the number of transactions of one run.
EVERY = timedelta(seconds=5)
LONGEST = timedelta(minutes=1)
STRETCHES = 20

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

Key = tuple[str, str, str]


def update() -> int:
    """Count the predictions that have ended since the last run. Returns their number."""
    counted = 0
    for _ in range(STRETCHES):
        since, now = Watermark.objects.read(WATERMARK)
        until = min(since + LONGEST, now - LAG)
        if until - since < EVERY:
            break
        counted += _count(since, until)
    return counted


def _count(since: datetime, until: datetime) -> int:
    # The rows are read before the transaction begins: that takes a while, and SQLite has one writer at a time.
    ended, seen = _seen(since, until)
    counted = {key: _by_bucket(values, ROWS if key[0] == "claim" else SECONDS) for key, values in sorted(seen.items())}
    with transaction.atomic():
        if not Watermark.objects.advance(WATERMARK, since, until):
            return 0
        for (name, model, state), buckets in counted.items():
            MetricHistogram.objects.add(name, model, state, buckets, sum(seen[name, model, state]))
    return ended


def _by_bucket(values: Sequence[float], bounds: Sequence[float]) -> Counter[str]:
    """How many values lie between each upper bound and the one before."""
    names = [*map(str, bounds), "+Inf"]
    return Counter(names[bisect_left(bounds, value)] for value in values)


def _seen(since: datetime, until: datetime) -> tuple[int, dict[Key, list[float]]]:
    """The number of rows that ended between two times, and their seconds or rows by name, model and state."""
    ended = 0
    seen: defaultdict[Key, list[float]] = defaultdict(list)
    claims: Counter[tuple[str, object]] = Counter()
    rows = Prediction.objects.of_people().filter(finished_at__gt=since, finished_at__lte=until).order_by()
    columns = ("version__registered_model__name", "state", "created_at", "started_at", "finished_at", "predict_ms")
    for model, state, created, started, finished, predict_ms, claim in rows.values_list(*columns, "claim"):
        ended += 1
        seen["total", model, state].append((finished - created).total_seconds())
        if started is not None:
            seen["queue", model, ""].append((started - created).total_seconds())
        if predict_ms is not None:  # the claim was settled
            seen["predict", model, ""].append(predict_ms / 1000)
            claims[model, claim] += 1
    for (model, _), size in claims.items():
        seen["claim", model, ""].append(size)
    return ended, dict(seen)
