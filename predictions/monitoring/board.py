"""The data of the analysts' board: unfinished predictions, the newest finished ones, the last hour, and standstills."""

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Count, Min, functions

from predictions.lifecycle import registry
from predictions.models import Prediction, State, clock
from predictions.models.prediction import PredictionQuerySet
from predictions.models.states import TERMINAL
from predictions.serving.artifacts.repository import is_name

NEWEST = 30
# The board shows at most this many unfinished predictions, the oldest first.
UNFINISHED = 10
# A standstill: a prediction has been queued for this time, and none has finished in this time.
STANDSTILL = timedelta(seconds=30)
WINDOW = timedelta(hours=1)
# The median is that of at most this many of the newest rows. A median of all would have to sort the rows of the hour.
SAMPLE = 1000


@dataclass(frozen=True)
class Filter:
    """An empty field matches everything. `of` replaces impossible values by empty ones."""

    model: str = ""
    state: str = ""

    @classmethod
    def of(cls, model: str, state: str) -> "Filter":
        return cls(model if is_name(model) else "", state if state in State.values else "")

    def apply(self, predictions: PredictionQuerySet) -> PredictionQuerySet:
        if self.model:
            predictions = predictions.filter(version__registered_model__name=self.model)
        return predictions.filter(state=self.state) if self.state else predictions


def unfinished(chosen: Filter) -> list[Prediction]:
    """The oldest queued and running predictions, the oldest first."""
    rows = chosen.apply(Prediction.objects.of_people().unfinished())
    return registry.attach_versions(rows.order_by("created_at")[:UNFINISHED])


def newest(chosen: Filter) -> list[Prediction]:
    """The newest finished predictions, the newest first."""
    settled = Prediction.objects.of_people().filter(finished_at__isnull=False)
    return registry.attach_versions(chosen.apply(settled).order_by("-finished_at")[:NEWEST])


@dataclass(frozen=True)
class Now:
    """`oldest` is the submission time of the oldest queued prediction; `last_end` is when the last one ended."""

    by_state: dict[str, int]
    oldest: datetime | None
    last_end: datetime | None
    is_standstill: bool


def now(chosen: Filter) -> Now:
    people = Prediction.objects.of_people()
    waiting = chosen.apply(people.unfinished())
    counted = dict(waiting.order_by().values_list("state").annotate(number=Count("id")))
    oldest = waiting.filter(state=State.QUEUED).aggregate(at=Min("created_at"))["at"]
    ended = Filter(model=chosen.model).apply(people).filter(finished_at__isnull=False)
    last_end = ended.order_by("-finished_at").values_list("finished_at", flat=True).first()
    since = clock.recent() - STANDSTILL
    is_standstill = oldest is not None and oldest < since and (last_end is None or last_end < since)
    return Now(_shown(counted, chosen, set(State) - TERMINAL), oldest, last_end, is_standstill)


def _shown(counted: dict[str, int], chosen: Filter, states: Set[State]) -> dict[str, int]:
    """The count of each of `states` that the filter matches."""
    return {state: counted.get(state, 0) for state in State if state in states and chosen.state in ("", state)}


@dataclass(frozen=True)
class LastHour:
    """`median_latency` is that of the newest rows that succeeded; `sample` is their number if the hour has more."""

    by_state: dict[str, int]
    median_latency: timedelta | None
    sample: int | None


def last_hour(chosen: Filter) -> LastHour:
    settled = chosen.apply(Prediction.objects.of_people().filter(finished_at__gte=functions.Now() - WINDOW))
    counted = dict(settled.order_by().values_list("state").annotate(number=Count("id")))
    is_sample = counted.get(State.SUCCEEDED, 0) > SAMPLE
    return LastHour(_shown(counted, chosen, TERMINAL), _median(settled), SAMPLE if is_sample else None)


def _median(settled: PredictionQuerySet) -> timedelta | None:
    times = settled.filter(state=State.SUCCEEDED).order_by("-finished_at").values_list("created_at", "finished_at")
    seconds = [(finished - created).total_seconds() for created, finished in times[:SAMPLE] if finished]
    return timedelta(seconds=median(seconds)) if seconds else None


def cursor_of(rows: list[Prediction]) -> str:
    """The time at which the newest row ended, as text; "0" without rows."""
    newest_at: datetime | None = rows[0].finished_at if rows else None
    return f"{newest_at.timestamp():.6f}" if newest_at else "0"
