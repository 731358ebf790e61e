"""Histograms of the metrics. They count every prediction since the installation, also those that were removed."""

from collections.abc import Mapping
from datetime import datetime

from django.db import models
from django.db.models.functions import Now

from predictions.models.json_field import JSONField


class MetricHistogramQuerySet(models.QuerySet["MetricHistogram"]):
    def add(self, name: str, model: str, state: str, buckets: Mapping[str, int], total: float) -> None:
        """Add counts by bucket, and the sum of what was counted.

        Not safe for concurrent callers: call it after `Watermark.advance` has returned True.
        """
        histogram, _ = self.get_or_create(name=name, model=model, state=state)
        for bound, number in buckets.items():
            histogram.buckets[bound] = histogram.buckets.get(bound, 0) + number
        histogram.count += sum(buckets.values())
        histogram.sum += total
        histogram.save(update_fields=["buckets", "count", "sum"])


class MetricHistogram(models.Model):
    """A histogram that only grows.

    `buckets` maps each upper bound to the number of values between the bound before it and this one.
    """

    name = models.CharField(max_length=20)
    model = models.CharField(max_length=100)
    state = models.CharField(max_length=10, blank=True)
    count = models.PositiveBigIntegerField(default=0)
    sum = models.FloatField(default=0.0)
    buckets = JSONField(default=dict)

    objects = MetricHistogramQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name", "model", "state"], name="one_histogram_per_series")]

    def __str__(self) -> str:
        return f"{self.name} of {self.model}"


class WatermarkQuerySet(models.QuerySet["Watermark"]):
    def read(self, name: str) -> tuple[datetime, datetime]:
        """(until, now) by the database's clock: the end of the last interval, and the present time."""
        marked = self.filter(name=name).values_list("until", Now())
        if (found := marked.first()) is None:
            self.bulk_create([Watermark(name=name, until=Now())], ignore_conflicts=True)
            found = marked.get()
        until, now = found
        return until, now

    def advance(self, name: str, since: datetime, until: datetime) -> bool:
        """Store the end of an interval. True for only one of the processes that have read the same interval.

        Call it first in the transaction of the work.
        """
        # Not `until=since`: SQLite's clock writes milliseconds and Django microseconds, so equal times differ as texts.
        return self.filter(name=name, until__lte=since).update(until=until) == 1


class Watermark(models.Model):
    """The end of the last interval that a periodic job has processed."""

    name = models.CharField(max_length=20, primary_key=True)
    until = models.DateTimeField()

    objects = WatermarkQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} until {self.until:%Y-%m-%d %H:%M:%S}"
