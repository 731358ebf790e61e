"""Tombstones: the ids of predictions and batch jobs that were removed."""

import uuid
from collections.abc import Iterable

from django.db import models
from django.db.models.functions import Now


class TombstoneQuerySet(models.QuerySet["Tombstone"]):
    def put_up(self, ids: Iterable[uuid.UUID]) -> None:
        self.bulk_create([Tombstone(pk=removed, removed_at=Now()) for removed in ids], ignore_conflicts=True)

    def stands_for(self, prediction_id: uuid.UUID) -> bool:
        return self.filter(pk=prediction_id).exists()


class Tombstone(models.Model):
    """The id of a removed row, without its data: a request for the id is answered with "removed", not "not found"."""

    id = models.UUIDField(primary_key=True)
    removed_at = models.DateTimeField()

    objects = TombstoneQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.id}, removed {self.removed_at:%Y-%m-%d}"
