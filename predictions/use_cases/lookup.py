"""Look-ups: models, versions, and predictions with their visibility."""

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections

from predictions.lifecycle import aliases, registry
from predictions.models import Feedback, IdempotencyKey, ModelVersion, Prediction, RegisteredModel, Tombstone
from predictions.models.database import DATABASE_AWAY
from predictions.models.prediction_statements import Status
from predictions.models.states import State
from predictions.queue.batcher import Batcher, map_catching
from predictions.serving.schema.errors import ModelUnavailable, NotFound, Removed
from predictions.serving.schema.sentences import english
from predictions.serving.schema.wording import printable
from predictions.use_cases.callers import Caller, may_see

# Reads the database for coroutines. Two threads, so that one slow read does not hold up all others.
reading = ThreadPoolExecutor(2, thread_name_prefix="reading")


# --- Models and versions ----------------------------------------------------------------------------------------------
def find_model(name: str) -> RegisteredModel:
    """The model of that name. Raises NotFound."""
    try:
        return registry.find(name)
    except RegisteredModel.DoesNotExist:
        raise NotFound(f"There is no model {printable(name)!r}.") from None


def serving_version(model: RegisteredModel, caller: Caller | None = None) -> ModelVersion:
    """The version that answers a caller; without a caller the champion.

    Raises ModelUnavailable if no version of the model serves, or if it is paused.
    """
    check_not_paused(model)
    version = model.champion if caller is None else registry.version_for(model, caller.routed_as)
    if version is None or not version.is_available:
        raise ModelUnavailable(f"no version of {model.name} serves")
    return version


def check_not_paused(model: RegisteredModel) -> None:
    """Raises ModelUnavailable with the reason."""
    if model.paused_reason:
        sentence = english("This model accepts no predictions at the moment: {reason}", reason=model.paused_reason)
        raise ModelUnavailable(f"{model.name} is paused", sentence)


def find_version(name: str, number: str | None, caller: Caller | None = None) -> ModelVersion:
    """The version of that number or alias, whether it serves or not.

    Without a number, the version that answers the caller; without a caller too, the champion.

    Raises:
        NotFound: there is no such model or version.
    """
    model = find_model(name)
    if number is None and caller is not None:
        found = registry.version_for(model, caller.routed_as)
    else:
        found = _called(model, "champion" if number is None else number)
    if found is None:
        which = "version" if number is None else f"version {printable(number)}"
        raise NotFound(f"Model {name!r} has no {which}.")
    return found


def version_of_key(caller: str, key: str) -> ModelVersion | None:
    """The version of the prediction that a caller's idempotency key has made; None if there is none."""
    kept = IdempotencyKey.objects.current(caller, key)
    row = kept and Prediction.objects.filter(pk=kept.prediction_id).only("version_id").first()
    return registry.version(row.version_id) if row else None


def _called(model: RegisteredModel, number: str) -> ModelVersion | None:
    if number == "champion":
        return model.champion
    known = aliases.called(model, number).values_list("pk", "sha256", "unavailable_reason").first()
    if known is None:
        return None
    found = registry.version(known[0], known[1])
    found.unavailable_reason = known[2]  # the copy in memory may be older
    return found


def _find_versions(wanted: Sequence[tuple[str, str | None, Caller]]) -> list[ModelVersion | Exception]:
    close_old_connections()
    return map_catching(lambda one: find_version(*one), wanted, DATABASE_AWAY)


def _find_models(names: Sequence[str]) -> list[RegisteredModel | Exception]:
    close_old_connections()
    return map_catching(find_model, names, DATABASE_AWAY)


async def model(name: str) -> RegisteredModel:
    """`find_model` for a coroutine: from memory, or read in a thread."""
    if (known := registry.cached(name)) is not None:
        return known
    return await models.ask(name)


async def version(name: str, number: str | None, caller: Caller) -> ModelVersion:
    """`find_version` for a coroutine."""
    known = registry.cached(name) if number is None else None
    if known is not None and (serving := registry.version_for(known, caller.routed_as)) is not None:
        return serving
    return await versions.ask((name, number, caller))


models = Batcher(_find_models, fatal=DATABASE_AWAY, executor=reading)
versions = Batcher(_find_versions, fatal=DATABASE_AWAY, executor=reading)


# --- Predictions ------------------------------------------------------------------------------------------------------
def find_prediction(prediction_id: uuid.UUID, caller: Caller) -> Prediction:
    """A prediction that the caller may see, with its version.

    Raises:
        NotFound: there is none, or the caller may not see it.
        Removed: its data was removed.
    """
    [found] = find_predictions([(prediction_id, caller)])
    if isinstance(found, Exception):
        raise found
    return found


def find_predictions(wanted: Sequence[tuple[uuid.UUID, Caller]]) -> list[Prediction | Exception]:
    """The prediction or the error of `find_prediction` for each id and caller; one read for all rows."""
    rows = Prediction.objects.find_all([prediction_id for prediction_id, _ in wanted])

    def visible(one: tuple[uuid.UUID, Caller]) -> Prediction:
        prediction_id, caller = one
        row = rows.get(prediction_id)
        if row is None or not may_see(caller, registry.attach_versions([row])[0]):
            raise Removed if Tombstone.objects.stands_for(prediction_id) else NotFound
        return row

    return map_catching(visible, wanted, DATABASE_AWAY)


def _find_predictions(wanted: Sequence[tuple[uuid.UUID, Caller]]) -> list[Prediction | Exception]:
    """`find_predictions`, with the caller's own feedback."""
    close_old_connections()
    found = find_predictions(wanted)
    attach_feedback([(one, caller.key) for one, (_, caller) in zip(found, wanted, strict=True)])
    return found


def attach_feedback(rows: Sequence[tuple[Prediction | Exception, str]]) -> None:
    """Set `own_feedback` of each prediction to the feedback of the caller beside it, by one query for all."""
    answered = [row.pk for row, _ in rows if isinstance(row, Prediction) and row.state == State.SUCCEEDED]
    given = Feedback.objects.of_predictions(answered) if answered else {}
    for row, caller in rows:
        if isinstance(row, Prediction):
            row.own_feedback = given.get((row.pk, caller))


def _statuses(ids: Sequence[uuid.UUID]) -> list[Status | Exception | None]:
    close_old_connections()
    found = Prediction.objects.fetch_statuses(ids)
    return [found.get(prediction_id) for prediction_id in ids]


predictions = Batcher(_find_predictions, fatal=DATABASE_AWAY, executor=reading)
statuses: Batcher[uuid.UUID, Status | None] = Batcher(_statuses, fatal=DATABASE_AWAY, executor=reading)
