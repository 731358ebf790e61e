"""Changes of what serves: promote, pause, resume, archive, restore. Each records an event with its actor and reason.

A version is proved before it is promoted: it is loaded, and must reproduce its stored answers. The command `promote`
does this itself. A web process never loads an estimator: it records a request. Then a worker proves the version, and
promotes it or refuses the request.
"""

from collections.abc import Callable

from django.db import transaction

from predictions.lifecycle import aliases, challenger, history, registry
from predictions.models import LifecycleEvent, ModelVersion, RegisteredModel
from predictions.models.lifecycle_event import Action
from predictions.queue import notifications
from predictions.serving.schema.errors import CannotChange
from predictions.serving.schema.sentences import english


def promote(version: ModelVersion, actor: str, reason: str = "") -> None:
    """Let a version serve that has been proved on this machine. A canary of the model and a shadow of the version end.

    Raises:
        CannotChange: the version is archived, or another promotion came first.
    """
    model = version.registered_model
    if version.is_archived:
        raise CannotChange(
            english(
                "{version} is archived; bring it back with archive {model} {number} --undo",
                version=version,
                model=model.name,
                number=version.number,
            )
        )
    with transaction.atomic():
        if not model.promote(version):
            raise CannotChange(
                english("{model} was promoted by somebody else meanwhile; look and try again", model=model.name)
            )
        challenger.end_shadow_of(version)
        history.record(model, version, Action.PROMOTED, actor, reason)
    registry.clear_cache()


def request_promotion(version: ModelVersion, actor: str, reason: str = "") -> LifecycleEvent:
    """Let a worker prove the version and promote it. The keeper repeats the request until it has an outcome.

    Raises:
        CannotChange: the version is archived, or serves already.
    """
    model = version.registered_model
    if version.is_archived:
        raise CannotChange(english("Version {version} is archived. Bring it back first.", version=version.number))
    if model.champion_id == version.pk:
        raise CannotChange(english("Version {version} serves already.", version=version.number))
    event = history.record(model, version, Action.REQUESTED, actor, reason)
    transaction.on_commit(lambda: notifications.ask_to_promote(event.pk))
    return event


def carry_out(request_id: int, prove: Callable[[int], bool]) -> None:
    """Prove the version of a request, then make the change or record the refusal.

    Nothing is done if the request has an outcome already.

    Args:
        prove: loads a version by its primary key, and returns whether it serves here.
    """
    request = LifecycleEvent.objects.pending().select_related("version__registered_model").filter(pk=request_id).first()
    if request is None or request.version is None:
        return
    version, serves = request.version, prove(request.version.pk)
    with transaction.atomic():
        version.registered_model = RegisteredModel.objects.select_for_update().get(pk=version.registered_model_id)
        if not LifecycleEvent.objects.pending().filter(pk=request_id).exists():
            return  # another worker was first
        version.refresh_from_db(fields=["unavailable_reason", "is_archived"])
        if not serves:
            record_refusal(version, request.actor, version.unavailable_reason)
            return
        try:
            _make(request, version)
        except CannotChange as refused:
            record_refusal(version, request.actor, str(refused))


def _make(request: LifecycleEvent, version: ModelVersion) -> None:
    if request.action == Action.CANARY_REQUESTED:
        challenger.set_canary(version, request.percent or 0, request.actor, request.reason)
    else:
        promote(version, request.actor, request.reason)


def record_refusal(version: ModelVersion, actor: str, reason: str) -> None:
    """Record that a promotion or a canary was refused, and why."""
    history.record(version.registered_model, version, Action.REFUSED, actor, reason)


def pause(model: RegisteredModel, actor: str, reason: str) -> None:
    """Stop accepting new predictions of the model. Callers are told the reason."""
    with transaction.atomic():
        RegisteredModel.objects.filter(pk=model.pk).update(paused_reason=reason)
        history.record(model, None, Action.PAUSED, actor, reason)
    registry.clear_cache()


def resume(model: RegisteredModel, actor: str) -> None:
    """Let the model accept predictions again.

    Raises:
        CannotChange: it is not paused.
    """
    with transaction.atomic():
        if not RegisteredModel.objects.filter(pk=model.pk).exclude(paused_reason="").update(paused_reason=""):
            raise CannotChange(english("{model} is not paused", model=model.name))
        history.record(model, None, Action.RESUMED, actor)
    registry.clear_cache()


def archive(version: ModelVersion, actor: str, reason: str = "") -> None:
    """Keep the version for its predictions, and refuse to promote it.

    Raises:
        CannotChange: it serves, it is the challenger, it has an alias, or it is archived already.
    """
    with transaction.atomic():
        model = RegisteredModel.objects.select_for_update().get(pk=version.registered_model_id)
        if model.champion_id == version.pk:
            raise CannotChange(english("{version} serves; promote another version first", version=version))
        _check_no_alias(model, version)
        if not _set_archived(version, Action.ARCHIVED, actor, reason):
            raise CannotChange(english("{version} is archived already", version=version))


def _check_no_alias(model: RegisteredModel, version: ModelVersion) -> None:
    names = [alias.name for alias in version.aliases.all()]
    if model.challenger_id == version.pk:
        names.insert(0, aliases.CHALLENGER)
    if names:
        raise CannotChange(
            english("{version} has the alias {names}; move or remove it first", version=version, names=", ".join(names))
        )


def restore(version: ModelVersion, actor: str) -> None:
    """Undo `archive`.

    Raises:
        CannotChange: it is not archived.
    """
    with transaction.atomic():
        if not _set_archived(version, Action.RESTORED, actor):
            raise CannotChange(english("{version} is not archived", version=version))


def _set_archived(version: ModelVersion, action: Action, actor: str, reason: str = "") -> bool:
    """Make the change and record it. False, without a record, if the version is in this state already."""
    is_archived = action == Action.ARCHIVED
    if not ModelVersion.objects.filter(pk=version.pk, is_archived=not is_archived).update(is_archived=is_archived):
        return False
    history.record(version.registered_model, version, action, actor, reason)
    registry.clear_cache()
    return True
