"""The canary: a prediction of our own on each lane, now and then, through the real path. What it tells cannot lie."""

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
# A lane whose last good canary is older than this is not working.
STALE = timedelta(seconds=60)


def send() -> int:
    """Send one on each lane that is due, and forget old ones; how many were sent."""
    now = timezone.now()
    _all().filter(created_at__lt=now - KEPT_FOR).delete()
    due = [lane for lane in Lane.values if not _all(lane).filter(created_at__gt=now - EVERY).exists()]
    if not due or (question := _question()) is None:
        return 0
    version, values = question
    for lane in due:
        Prediction.objects.accept([_canary(version, values, lane, now)])
        notifications.notify(lane)
    return len(due)


def age(lane: str) -> timedelta | None:
    """How long ago the lane's last canary that came back was sent; None if none did lately."""
    sent_at = (
        _all(lane).filter(state=State.SUCCEEDED).order_by("-created_at").values_list("created_at", flat=True).first()
    )
    return None if sent_at is None else timezone.now() - sent_at


def delay(lane: str) -> timedelta:
    """How long answers take now: the age of the oldest canary still under way, else nothing worth a word."""
    sent_at = _all(lane).unfinished().order_by("created_at").values_list("created_at", flat=True).first()
    return timedelta(0) if sent_at is None else timezone.now() - sent_at


def _all(lane: str | None = None) -> PredictionQuerySet:
    found = Prediction.objects.filter(caller=CALLER)
    return found.filter(lane=lane) if lane else found


def _question() -> tuple[ModelVersion, list[Value]] | None:
    """A version that serves, and an example that fits it: model.toml may already describe the version after it."""
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
