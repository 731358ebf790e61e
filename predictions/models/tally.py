"""What has been counted since the beginning, whatever was removed since."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from django.db import models
from django.db.models.functions import Now


class TallyQuerySet(models.QuerySet["Tally"]):
    def add(self, name: str, model: str, state: str, values: Sequence[float], bounds: Sequence[float]) -> None:
        """Count `values`. Only one may do so at a time: see `Watermark.advance`."""
        tally, _ = self.get_or_create(name=name, model=model, state=state)
        for value in values:
            place = bisect_left(bounds, value)
            bound = str(bounds[place]) if place < len(bounds) else "+Inf"
            tally.buckets[bound] = tally.buckets.get(bound, 0) + 1
        tally.count += len(values)
        tally.sum += sum(values)
        tally.save(update_fields=["buckets", "count", "sum"])


class Tally(models.Model):
    """A histogram that only grows. `buckets` says how many lie between a bound and the one before it."""

    name = models.CharField(max_length=20)
    model = models.CharField(max_length=100)
    state = models.CharField(max_length=10, blank=True)
    count = models.PositiveBigIntegerField(default=0)
    sum = models.FloatField(default=0.0)
    buckets = models.JSONField(default=dict)

    objects = TallyQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "model", "state"], name="one_tally_each")]

    def __str__(self) -> str:
        return f"{self.name} of {self.model}"


class WatermarkQuerySet(models.QuerySet["Watermark"]):
    def read(self, name: str) -> tuple[datetime, datetime]:
        """Until when the work is done, and the time now, by the database's clock. It begins with the first look."""
        marked = self.filter(name=name).values_list("until", Now())
        if (found := marked.first()) is None:
            self.bulk_create([Watermark(name=name, until=Now())], ignore_conflicts=True)
            found = marked.get()
        until, now = found
        return until, now

    def advance(self, name: str, since: datetime, until: datetime) -> bool:
        """True for one of those who would do the same stretch. Call it first in the transaction that does the work."""
        return self.filter(name=name, until=since).update(until=until) == 1


class Watermark(models.Model):
    """Until when a work that follows the time has come."""

    name = models.CharField(max_length=20, primary_key=True)
    until = models.DateTimeField()

    objects = WatermarkQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} until {self.until:%Y-%m-%d %H:%M:%S}"
