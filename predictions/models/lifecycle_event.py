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
    ALIAS_SET = "alias_set", "Alias set"
    ALIAS_REMOVED = "alias_removed", "Alias removed"
    SHADOW = "shadow", "Shadow"
    CANARY_REQUESTED = "canary_requested", "Canary asked for"
    CANARY = "canary", "Canary"


# Each request that a worker carries out, with its possible outcomes.
OUTCOMES = {
    Action.REQUESTED: (Action.PROMOTED, Action.REFUSED),
    Action.CANARY_REQUESTED: (Action.CANARY, Action.REFUSED),
}


class LifecycleEventQuerySet(models.QuerySet["LifecycleEvent"]):
    def pending(self) -> "LifecycleEventQuerySet":
        """Promotions and canaries that were asked for and have neither been made nor refused."""
        asked = models.Q()
        for action, outcomes in OUTCOMES.items():
            found = LifecycleEvent.objects.filter(
                version=models.OuterRef("version"), id__gt=models.OuterRef("id"), action__in=outcomes
            )
            asked |= models.Q(~models.Exists(found), action=action)
        return self.filter(asked, version__isnull=False)


class LifecycleEvent(models.Model):
    """One change, or one request that was refused. `reason` is the text of a person, or says why a request was refused.

    `alias` is the alias that was set or removed, `percent` the share of a shadow or a canary.
    """

    registered_model = models.ForeignKey(RegisteredModel, models.CASCADE, related_name="events")
    version = models.ForeignKey(ModelVersion, models.CASCADE, null=True, related_name="events")
    action = models.CharField(max_length=20, choices=Action.choices)
    alias = models.CharField(max_length=50, blank=True)
    percent = models.PositiveSmallIntegerField(null=True)
    actor = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    at = models.DateTimeField(db_default=Now())

    objects = LifecycleEventQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.registered_model.name}: {self.action}"
