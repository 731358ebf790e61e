"""What the analysts' board shows: the newest settled predictions, and the last hour in numbers."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from django.db.models import Count
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import Prediction, State
from predictions.models.prediction import PredictionQuerySet
from predictions.models.states import TERMINAL
from predictions.serving.artifacts.repository import is_name

NEWEST = 30
WINDOW = timedelta(hours=1)
# The median is taken over at most this many of the newest rows. It is exact up to that number of rows in the hour.
SAMPLE = 1000


@dataclass(frozen=True)
class Filter:
    """Empty fields let everything through. Unknown values match nothing that exists, and are dropped by `of`."""

    model: str = ""
    state: str = ""

    @classmethod
    def of(cls, model: str, state: str) -> "Filter":
        return cls(model if is_name(model) else "", state if state in TERMINAL else "")

    def apply(self, predictions: PredictionQuerySet) -> PredictionQuerySet:
        if self.model:
            predictions = predictions.filter(version__registered_model__name=self.model)
        return predictions.filter(state=self.state) if self.state else predictions


def newest(chosen: Filter) -> list[Prediction]:
    """Newest first."""
    settled = Prediction.objects.of_people().filter(finished_at__isnull=False)
    return registry.complete(chosen.apply(settled).order_by("-finished_at")[:NEWEST])


@dataclass(frozen=True)
class LastHour:
    by_state: dict[str, int]
    median_latency: timedelta | None


def last_hour(chosen: Filter) -> LastHour:
    since = timezone.now() - WINDOW
    settled = chosen.apply(Prediction.objects.of_people().filter(finished_at__gte=since))
    counted = dict(settled.order_by().values_list("state").annotate(number=Count("id")))
    return LastHour({state: counted.get(state, 0) for state in State.values if state in TERMINAL}, _median(settled))


def _median(settled: PredictionQuerySet) -> timedelta | None:
    times = settled.filter(state=State.SUCCEEDED).order_by("-finished_at").values_list("created_at", "finished_at")
    seconds = [(finished - created).total_seconds() for created, finished in times[:SAMPLE] if finished]
    return timedelta(seconds=median(seconds)) if seconds else None


def cursor_of(rows: list[Prediction]) -> str:
    """The time at which the newest row ended, as text; "0" without rows."""
    newest_at: datetime | None = rows[0].finished_at if rows else None
    return f"{newest_at.timestamp():.6f}" if newest_at else "0"
