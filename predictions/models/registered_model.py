"""Registered models and their versions: rows that mirror the folders, and which version serves."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy

from predictions.models.json_field import JSONField
from predictions.serving.schema.advice import Advisor
from predictions.serving.schema.signature import Signature

TASKS = [
    ("classification", gettext_lazy("Classification")),
    ("regression", gettext_lazy("Regression")),
    ("outliers", gettext_lazy("Outlier detection")),
    ("clusters", gettext_lazy("Clustering")),
]


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def listed(self) -> "RegisteredModelQuerySet":
        """The models whose folder is there, with their champions."""
        return self.filter(is_present=True).select_related("champion").order_by("position", "name")


class RegisteredModel(models.Model):
    """A name that users call. `description` is `model.toml` as it was last read, for pages."""

    name = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    summary = models.TextField(blank=True)
    task = models.CharField(max_length=20, choices=TASKS)
    description = JSONField(default=dict)
    position = models.PositiveIntegerField(default=0)
    is_present = models.BooleanField(default=True)
    paused_reason = models.TextField(blank=True, help_text="Why no new predictions are accepted; empty: they are.")
    champion = models.ForeignKey("ModelVersion", models.SET_NULL, null=True, blank=True, related_name="+")
    previous_champion = models.ForeignKey("ModelVersion", models.SET_NULL, null=True, blank=True, related_name="+")
    challenger = models.ForeignKey("ModelVersion", models.SET_NULL, null=True, blank=True, related_name="+")
    canary_percent = models.PositiveSmallIntegerField(default=0, help_text="Callers whom the challenger answers.")

    objects = RegisteredModelQuerySet.as_manager()

    class Meta:
        permissions = [("operate_models", "Can promote, archive and pause what serves")]

    def __str__(self) -> str:
        return self.title

    def promote(self, version: "ModelVersion") -> bool:
        """Make `version` the champion, which answers all callers: a canary ends. It is no longer the challenger.

        False if another promotion came first.
        """
        old = self.champion_id
        if old == version.pk:
            return True
        challenger = None if self.challenger_id == version.pk else self.challenger_id
        won = RegisteredModel.objects.filter(pk=self.pk, champion_id=old).update(
            champion=version, previous_champion_id=old, challenger_id=challenger, canary_percent=0
        )
        self.refresh_from_db()
        return won == 1


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    def champions(self) -> "ModelVersionQuerySet":
        serving = RegisteredModel.objects.filter(is_present=True, champion__isnull=False)
        return self.filter(pk__in=serving.values("champion")).select_related("registered_model")

    def mark_unavailable(self, version_id: int, reason: str) -> bool:
        """Store why a version does not serve here. True if the stored reason has changed."""
        known = self.filter(pk=version_id).exclude(unavailable_reason=reason)
        return known.update(unavailable_reason=reason) == 1

    def mark_available(self, version_id: int) -> bool:
        return self.filter(pk=version_id).exclude(unavailable_reason="").update(unavailable_reason="") == 1


class ModelVersion(models.Model):
    """One immutable artefact. `manifest` is its `version.json` without the golden rows, which only workers need."""

    registered_model = models.ForeignKey(RegisteredModel, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    manifest = JSONField()
    created_at = models.DateTimeField()
    unavailable_reason = models.TextField(blank=True)
    is_archived = models.BooleanField(default=False, help_text="Kept for its predictions, and not to be promoted.")

    objects = ModelVersionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["registered_model", "number"], name="one_row_per_version")]

    def __str__(self) -> str:
        return f"{self.registered_model.name} v{self.number}"

    @property
    def is_available(self) -> bool:
        return not self.unavailable_reason

    @cached_property
    def signature(self) -> Signature:
        return Signature.model_validate(self.manifest["signature"])

    @cached_property
    def advisor(self) -> Advisor:
        return Advisor(self.signature, self.profile)

    @property
    def views(self) -> list[dict[str, Any]]:
        """A manifest for each of several targets, as if it were the only one. Empty for a version with one target."""
        return [{**self.manifest, **one, "targets": []} for one in self.manifest.get("targets", [])]

    @property
    def target_names(self) -> list[str]:
        """The names of several targets, in their order. Empty for a version with one target."""
        return [view["target"]["name"] for view in self.views]

    def parts(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs of several targets by name, in the order of the targets. PostgreSQL orders the keys by length."""
        return {name: output["outputs"][name] for name in self.target_names}

    def in_order(self, output: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """An output as it is given to programs: several targets stand in the order of the version."""
        return {**output, "outputs": self.parts(output)} if output and output["kind"] == "multi" else output

    @property
    def profile(self) -> dict[str, Any]:
        profile: dict[str, Any] = self.manifest["profile"]
        return profile


class Alias(models.Model):
    """A name that operators give to a version of a model. It can be moved to another version."""

    registered_model = models.ForeignKey(RegisteredModel, models.CASCADE, related_name="aliases")
    name = models.CharField(max_length=50)
    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["registered_model", "name"], name="one_version_per_alias")]

    def __str__(self) -> str:
        return self.name
