"""Canaries: predictions of our own on each lane, through the same path as those of people. They measure health."""

from contextlib import suppress
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from predictions.models import Lane, ModelVersion, Prediction, Source, State
from predictions.models.prediction import PredictionQuerySet
from predictions.queue import notifications
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Value

CALLER = "canary"
EVERY = timedelta(seconds=15)
KEPT_FOR = timedelta(minutes=10)
# A lane whose newest successful canary is older does not work.
STALE = timedelta(seconds=60)


def send() -> int:
    """Submit a canary on each lane that is due, and delete old ones. Returns the number of new ones."""
    now = timezone.now()
    _all().filter(created_at__lt=now - KEPT_FOR).delete()
    due = [lane for lane in Lane.values if not _all(lane).filter(created_at__gt=now - EVERY).exists()]
    if not due or (example_row := _example()) is None:
        return 0
    version, values = example_row
    for lane in due:
        Prediction.objects.accept([_canary(version, values, lane, now)])
        notifications.notify(lane)
    return len(due)


def age(lane: str) -> timedelta | None:
    """The age of the lane's newest canary that succeeded; None if there is none."""
    sent_at = (
        _all(lane).filter(state=State.SUCCEEDED).order_by("-created_at").values_list("created_at", flat=True).first()
    )
    return None if sent_at is None else timezone.now() - sent_at


def delay(lane: str) -> timedelta:
    """How late answers are now: the age of the oldest unfinished canary, or zero."""
    sent_at = _all(lane).unfinished().order_by("created_at").values_list("created_at", flat=True).first()
    return timedelta(0) if sent_at is None else timezone.now() - sent_at


def _all(lane: str | None = None) -> PredictionQuerySet:
    found = Prediction.objects.filter(caller=CALLER)
    return found.filter(lane=lane) if lane else found


def _example() -> tuple[ModelVersion, list[Value]] | None:
    """A version that serves, and an example that is valid for it: model.toml may describe a newer version."""
    for version in ModelVersion.objects.champions().filter(unavailable_reason="").order_by("pk"):
        for example in version.registered_model.description.get("examples", []):
            with suppress(InvalidInput):
                return version, version.signature.clean(example["values"])
    return None


def _canary(version: ModelVersion, values: list[Value], lane: str, now: datetime) -> Prediction:
    return Prediction(
        version=version,
        caller=CALLER,
        source=Source.CANARY,
        lane=lane,
        values=values,
        created_at=now,
        deadline_at=now + settings.PREDICTION_TIME,
    )
