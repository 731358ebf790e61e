"""Signs of life, by the database's clock."""

from datetime import timedelta

from django.db import models
from django.db.models import ExpressionWrapper, F
from django.db.models.functions import Now


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def beat(self, name: str) -> None:
        if not self.filter(name=name).update(at=Now()):
            self.bulk_create([Heartbeat(name=name, at=Now())], ignore_conflicts=True)

    def age(self, name: str) -> timedelta | None:
        """How long ago `name` last beat; None if it never did."""
        age = ExpressionWrapper(Now() - F("at"), output_field=models.DurationField())
        return self.filter(name=name).values_list(age, flat=True).first()


class Heartbeat(models.Model):
    name = models.CharField(max_length=50, primary_key=True)
    at = models.DateTimeField()

    objects = HeartbeatQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
