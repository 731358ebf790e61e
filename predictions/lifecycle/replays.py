"""Replays that operators ask for on the page or by the API: a worker answers the last real inputs by a version."""

from django.db import IntegrityError, transaction

from predictions.models import Comparison, Lane, ModelVersion
from predictions.models.comparison import Kind
from predictions.queue import notifications
from predictions.serving.schema.errors import CannotChange
from predictions.serving.schema.sentences import english

MOST = 5000


def start(version: ModelVersion, last: int) -> Comparison:
    """Let a worker answer the `last` inputs that other versions answered, the newest first.

    Raises:
        CannotChange: a replay on this version is under way.
    """
    try:
        with transaction.atomic():
            started = Comparison.objects.create(version=version, kind=Kind.REPLAY, wanted=last)
    except IntegrityError:
        text = english("A replay on version {version} is under way. Wait for its end.", version=version.number)
        raise CannotChange(text) from None
    transaction.on_commit(lambda: notifications.notify(Lane.BULK))
    return started
