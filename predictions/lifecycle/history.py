"""The history of a model: one event for each change of what serves."""

from predictions.models import LifecycleEvent, ModelVersion, RegisteredModel
from predictions.models.lifecycle_event import Action


def record(
    model: RegisteredModel,
    version: ModelVersion | None,
    action: Action,
    actor: str,
    reason: str = "",
    *,
    alias: str = "",
    percent: int | None = None,
) -> LifecycleEvent:
    """Record an event. Call it in the transaction of the change."""
    return LifecycleEvent.objects.create(
        registered_model=model,
        version=version,
        action=action,
        actor=actor,
        reason=reason,
        alias=alias,
        percent=percent,
    )
