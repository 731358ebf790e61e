"""Canaries: predictions of our own, through the same path as those of people. They measure health.

The bulk lane has none: its worker starts when it is needed, and canaries would keep it running.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from django.db.models.functions import Now

from predictions.models import Lane, ModelVersion, Prediction, Source, State
from predictions.models.prediction import PredictionQuerySet
from predictions.queue import notifications
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Value

CALLER = "canary"
LANE = Lane.INTERACTIVE
EVERY = timedelta(seconds=15)
KEPT_FOR = timedelta(minutes=10)
# If the newest successful canary is older, the service does not answer people.
STALE = timedelta(seconds=60)


def send() -> int:
    """Submit a canary if it is due, and delete old ones. Returns the number of new ones."""
    Prediction.objects.filter(caller=CALLER, created_at__lt=Now() - KEPT_FOR).delete()
    if _all().filter(created_at__gt=Now() - EVERY).exists() or (example := _example()) is None:
        return 0
    Prediction.objects.accept([_canary(example)])
    notifications.notify(LANE)
    return 1


def age() -> timedelta | None:
    """The age of the newest canary that succeeded; None if there is none."""
    return _age_of_first(_all().filter(state=State.SUCCEEDED).order_by("-created_at"))


def delay() -> timedelta:
    """How late answers are now: the age of the oldest unfinished canary, or zero."""
    return _age_of_first(_all().unfinished().order_by("created_at")) or timedelta(0)


def _age_of_first(canaries: PredictionQuerySet) -> timedelta | None:
    """The age of the first one, by the database's clock; None if there is none."""
    times = canaries.values_list("created_at", Now()).first()
    return times[1] - times[0] if times else None


def _all() -> PredictionQuerySet:
    return Prediction.objects.filter(caller=CALLER, lane=LANE)


@dataclass(frozen=True)
class Example:
    """A row that a version accepts."""

    version: ModelVersion
    values: list[Value]


def _example() -> Example | None:
    """A version that serves, and an example that is valid for it: model.toml may describe a newer version."""
    serving = ModelVersion.objects.champions().filter(unavailable_reason="").order_by("pk")
    for version in serving:
        for example in version.registered_model.description.get("examples", []):
            with suppress(InvalidInput):
                values = version.signature.clean(example["values"])
                return Example(version, values)
    return None


def _canary(example: Example) -> Prediction:
    return Prediction(
        version=example.version,
        caller=CALLER,
        source=Source.CANARY,
        lane=LANE,
        values=example.values,
    )
