"""The history of a model's versions: what was changed, by whom, when and why."""

from django.db import models
from django.db.models.functions import Now

from predictions.models.registered_model import ModelVersion, RegisteredModel


class Action(models.TextChoices):
    REQUESTED = "requested", "Promotion asked for"
    PROMOTED = "promoted"
    REFUSED = "refused"
    PAUSED = "paused"
    RESUMED = "resumed"
    ARCHIVED = "archived"
    RESTORED = "restored"


class LifecycleEventQuerySet(models.QuerySet["LifecycleEvent"]):
    def pending(self) -> "LifecycleEventQuerySet":
        """Promotions that were asked for and have neither been made nor refused."""
        outcomes = LifecycleEvent.objects.filter(
            version=models.OuterRef("version"),
            id__gt=models.OuterRef("id"),
            action__in=[Action.PROMOTED, Action.REFUSED],
        )
        return self.filter(action=Action.REQUESTED, version__isnull=False).exclude(models.Exists(outcomes))


class LifecycleEvent(models.Model):
    """One change, or one promotion that was refused. `reason` is the word of a person, or what the proof found."""

    registered_model = models.ForeignKey(RegisteredModel, models.CASCADE, related_name="events")
    version = models.ForeignKey(ModelVersion, models.CASCADE, null=True, related_name="events")
    action = models.CharField(max_length=10, choices=Action.choices)
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())

    objects = LifecycleEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.registered_model.name}: {self.action}"
