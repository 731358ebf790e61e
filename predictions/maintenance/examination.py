"""Lets a worker try again to load the champions that could not be loaded."""

from predictions.models import ModelVersion
from predictions.queue import notifications

INTERVAL_SECONDS = 30.0


def examine() -> None:
    for version in ModelVersion.objects.champions().exclude(unavailable_reason=""):
        notifications.ask_to_examine(version.pk)
