"""Heartbeats: when each process last reported, by the database's clock."""

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models import ExpressionWrapper, F
from django.db.models.functions import Now

from predictions.models.json_field import JSONField

# The names of worker processes begin with this.
WORKER = "worker:"
# The name of the maintenance process.
KEEPER = "keeper"
# Heartbeats older than this are deleted when a new process registers.
FORGOTTEN_AFTER = timedelta(days=1)


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def beat(self, name: str, **detail: Any) -> None:
        if not self.filter(name=name).update(at=Now(), detail=detail):
            self.filter(at__lt=Now() - FORGOTTEN_AFTER).delete()
            self.bulk_create([Heartbeat(name=name, at=Now(), detail=detail)], ignore_conflicts=True)

    def ages(self, prefix: str = "") -> dict[str, timedelta]:
        """The time since the last heartbeat of each process whose name begins with `prefix`, by name."""
        age = ExpressionWrapper(Now() - F("at"), output_field=models.DurationField())
        return dict(self.filter(name__startswith=prefix).order_by("name").values_list("name", age))

    def age(self, name: str) -> timedelta | None:
        """The time since the last heartbeat of a process; None if there is none."""
        return self.filter(name=name).ages().get(name)

    def fallback_lanes(self) -> list[str]:
        """The lanes that the fallback worker executes, as the maintenance process last reported."""
        detail = self.filter(name=KEEPER).values_list("detail", flat=True).first() or {}
        return list(detail.get("fallback", []))


class Heartbeat(models.Model):
    """`detail` is what the process reports about itself."""

    name = models.CharField(max_length=150, primary_key=True)
    at = models.DateTimeField()
    detail = JSONField(default=dict)

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
