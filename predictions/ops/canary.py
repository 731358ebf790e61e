"""The canary: a prediction of our own on each lane, now and then, through the real path. What it tells cannot lie."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from predictions import doorbell
from predictions.models import Lane, ModelVersion, Prediction, Source, State
from predictions.models.prediction import PredictionQuerySet

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
    version = _any_champion()
    if version is None:
        return 0
    for lane in due:
        Prediction.objects.accept([_canary(version, lane, now)])
        doorbell.ring(version.pk, lane)
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


def _any_champion() -> ModelVersion | None:
    serving = ModelVersion.objects.champions().filter(unavailable_reason="")
    examples = (v for v in serving.order_by("pk") if v.registered_model.description.get("examples"))
    return next(examples, None)


def _canary(version: ModelVersion, lane: str, now: datetime) -> Prediction:
    example = version.registered_model.description["examples"][0]["values"]
    return Prediction(
        version=version,
        caller=CALLER,
        source=Source.CANARY,
        lane=lane,
        values=version.signature.clean(example),
        created_at=now,
        deadline_at=now + settings.PREDICTION_TIME,
    )
