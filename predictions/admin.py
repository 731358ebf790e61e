"""Read-only admin pages. Predictions change by their transitions only, and models by `predictions.lifecycle` only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from predictions.models import ModelVersion, Prediction, RegisteredModel


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # generic for mypy only
    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow only the filters that a page shows. Django would allow any look-up of any column in a URL."""
        return lookup.removesuffix("__exact") in self.list_filter

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(RegisteredModel)
class RegisteredModelAdmin(ReadOnly):
    list_display = ("name", "title", "task", "champion", "is_present")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnly):
    list_display = ("__str__", "created_at", "sha256", "unavailable_reason")
    list_select_related = ("registered_model",)


@admin.register(Prediction)
class PredictionAdmin(ReadOnly):
    list_display = ("id", "version", "state", "source", "created_at", "finished_at")
    list_filter = ("state", "source")
    list_select_related = ("version__registered_model",)
    show_full_result_count = False
