"""The challenger of a model: shadow (it answers copies of finished predictions) and canary (it answers some callers).

A canary answers callers, so a worker proves the challenger first, as for a promotion. A shadow answers no caller, and
its first batch loads the version or marks it as unavailable.
"""

from django.db import transaction

from predictions.lifecycle import history, registry
from predictions.lifecycle.versions import lock
from predictions.models import Comparison, LifecycleEvent, ModelVersion, RegisteredModel
from predictions.models.comparison import Kind
from predictions.models.lifecycle_event import Action
from predictions.queue import notifications
from predictions.serving.schema.errors import CannotChange
from predictions.serving.schema.sentences import english

NONE_CHOSEN = english("This model has no challenger. Choose one first: it is the alias challenger of a version.")


def choose(version: ModelVersion, actor: str, reason: str = "") -> None:
    """Make a version the challenger. Shadow and canary of an earlier challenger end.

    Raises:
        CannotChange: the version is archived, or serves.
    """
    with transaction.atomic():
        model = lock(version)
        if model.champion_id == version.pk:
            text = english("Version {version} serves. The challenger is another version.", version=version.number)
            raise CannotChange(text)
        if model.challenger_id == version.pk:
            return
        _replace(model, version)
        history.record(model, version, Action.ALIAS_SET, actor, reason, alias="challenger")
    registry.clear_cache()


def dismiss(model: RegisteredModel, actor: str, reason: str = "") -> None:
    """Remove the challenger of a model. Its shadow and its canary end.

    Raises:
        CannotChange: it has none.
    """
    with transaction.atomic():
        model, version = _challenged(model)
        _replace(model, None)
        history.record(model, version, Action.ALIAS_REMOVED, actor, reason, alias="challenger")
    registry.clear_cache()


def set_shadow(model: RegisteredModel, percent: int, actor: str, reason: str = "") -> None:
    """Let the challenger answer a share of the predictions again, from now on; 0 ends the shadow.

    Raises:
        CannotChange: the model has no challenger.
    """
    with transaction.atomic():
        model, version = _challenged(model)
        shadow = Comparison.objects.shadow_of(version)
        if percent and shadow is None:
            Comparison.objects.create(version=version, kind=Kind.SHADOW, percent=percent)
        elif percent:
            Comparison.objects.filter(version=version, kind=Kind.SHADOW).open().update(percent=percent)
        else:
            _end_shadow(model)
        history.record(model, version, Action.SHADOW, actor, reason, percent=percent)


def request_canary(model: RegisteredModel, percent: int, actor: str, reason: str = "") -> LifecycleEvent:
    """Let a worker prove the challenger, which then answers `percent` of the callers.

    Raises:
        CannotChange: there is no challenger, or it asks for other values than the version that serves.
    """
    with transaction.atomic():
        model, version = _challenged(model)
        check_same_inputs(model, version)
        event = history.record(model, version, Action.CANARY_REQUESTED, actor, reason, percent=percent)
        transaction.on_commit(lambda: notifications.ask_to_promote(event.pk))
    return event


def set_canary(version: ModelVersion, percent: int, actor: str, reason: str = "") -> None:
    """Let a challenger that has been proved answer `percent` of the callers; 0 ends the canary.

    Raises:
        CannotChange: it is not the challenger, or it asks for other values than the version that serves.
    """
    with transaction.atomic():
        model, chosen = _challenged(version.registered_model)
        if chosen.pk != version.pk:
            raise CannotChange(english("Version {version} is not the challenger any more.", version=version.number))
        if percent:
            check_same_inputs(model, version)
        RegisteredModel.objects.filter(pk=model.pk).update(canary_percent=percent)
        history.record(model, version, Action.CANARY, actor, reason, percent=percent)
    registry.clear_cache()


def stop_canary(model: RegisteredModel, actor: str, reason: str = "") -> None:
    """Let the version that serves answer all callers again.

    Raises:
        CannotChange: the model has no challenger.
    """
    with transaction.atomic():
        _, version = _challenged(model)
        set_canary(version, 0, actor, reason)


def stop_unavailable(actor: str) -> int:
    """Stop each canary whose challenger does not serve any more. Returns how many."""
    canaries = RegisteredModel.objects.filter(canary_percent__gt=0).select_related("challenger")
    broken = list(canaries.exclude(challenger__unavailable_reason=""))
    for model in broken:
        if (found := model.challenger) is not None:
            found.registered_model = model
            set_canary(found, 0, actor, english("It does not serve any more: {why}", why=found.unavailable_reason))
    return len(broken)


def check_same_inputs(model: RegisteredModel, version: ModelVersion) -> None:
    """Raises CannotChange if a request that the champion accepts may not be one for `version`."""
    champion = ModelVersion.objects.get(pk=model.champion_id or 0)
    if _inputs(champion) != _inputs(version):
        raise CannotChange(
            english(
                "Version {version} asks for other values than version {other}, so requests for one may fail with the"
                " other. Compare them by a replay, and promote.",
                version=version.number,
                other=champion.number,
            )
        )


def _inputs(version: ModelVersion) -> list[object]:
    """The signature without its texts and defaults."""
    said = ("name", "kind", "required", "choices", "minimum", "maximum", "max_length")
    return [{word: feature.get(word) for word in said} for feature in version.manifest["signature"]]


def _challenged(model: RegisteredModel) -> tuple[RegisteredModel, ModelVersion]:
    """The model under a lock, and its challenger. Raises CannotChange."""
    model = RegisteredModel.objects.select_for_update().get(pk=model.pk)
    if model.challenger_id is None:
        raise CannotChange(NONE_CHOSEN)
    found = ModelVersion.objects.get(pk=model.challenger_id)
    found.registered_model = model
    return model, found


def _replace(model: RegisteredModel, version: ModelVersion | None) -> None:
    _end_shadow(model)
    RegisteredModel.objects.filter(pk=model.pk).update(challenger=version, canary_percent=0)


def end_shadow_of(version: ModelVersion) -> None:
    """End the shadow of a version that serves now: there is no other version to compare it with."""
    Comparison.objects.filter(version=version, kind=Kind.SHADOW).open().end()


def record_end_of_shadow(version: ModelVersion, reason: str) -> None:
    """Record that a worker has ended the shadow, and why."""
    history.record(version.registered_model, version, Action.SHADOW, "worker", reason, percent=0)


def _end_shadow(model: RegisteredModel) -> None:
    Comparison.objects.filter(version__registered_model=model, kind=Kind.SHADOW).open().end()
