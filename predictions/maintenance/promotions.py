"""Asks workers again for each requested promotion or canary, until one has proved the version or the time is over."""

from datetime import timedelta

from django.db.models.functions import Now

from predictions.lifecycle import changes
from predictions.models import LifecycleEvent
from predictions.queue import notifications

INTERVAL_SECONDS = 5.0
GIVEN_UP_AFTER = timedelta(minutes=10)
NOT_PROVED = "No worker has proved the version within 10 minutes. Look whether workers run, and ask again."


def ask_again() -> None:
    pending = LifecycleEvent.objects.pending().select_related("version__registered_model")
    for request in pending.filter(at__lt=Now() - GIVEN_UP_AFTER):
        if request.version is not None:
            changes.record_refusal(request.version, request.actor, NOT_PROVED)
    for request_id in pending.filter(at__gte=Now() - GIVEN_UP_AFTER).values_list("pk", flat=True):
        notifications.ask_to_promote(request_id)
