"""Look-ups: models, versions, and predictions with their visibility."""

import asyncio
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, Tombstone
from predictions.queue.batcher import Batcher, map_catching
from predictions.queue.completions import Status
from predictions.serving.schema.errors import ModelUnavailable, NotFound, Removed
from predictions.serving.schema.wording import printable
from predictions.use_cases.callers import Caller, may_see
from predictions.use_cases.database import DATABASE_AWAY

# The reads of coroutines. Two threads, so that one slow read does not hold up all others.
reading = ThreadPoolExecutor(2, thread_name_prefix="reading")


# --- Models and versions ----------------------------------------------------------------------------------------------
def find_model(name: str) -> RegisteredModel:
    """Raises NotFound."""
    try:
        return registry.find(name)
    except RegisteredModel.DoesNotExist:
        raise NotFound(f"There is no model {printable(name)!r}.") from None


def serving_version(model: RegisteredModel) -> ModelVersion:
    """Raises ModelUnavailable if no version of the model serves."""
    if (version := registry.champion(model)) is None:
        raise ModelUnavailable(f"no version of {model.name} serves")
    return version


def find_version(name: str, number: str | None) -> ModelVersion:
    """The version of that number, or the champion, whether it serves or not.

    Raises:
        NotFound: there is no such model or version.
    """
    model = find_model(name)
    found = model.champion if number is None else _numbered(model, number)
    if found is None:
        which = "version" if number is None else f"version {printable(number)}"
        raise NotFound(f"Model {name!r} has no {which}.")
    return found


def _numbered(model: RegisteredModel, number: str) -> ModelVersion | None:
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    known = model.versions.filter(number=int(number)).values_list("pk", "sha256", "unavailable_reason").first()
    if known is None:
        return None
    found = registry.version(known[0], known[1])
    found.unavailable_reason = known[2]  # the copy in memory may be older
    return found


def _find_versions(wanted: Sequence[tuple[str, str | None]]) -> list[ModelVersion | Exception]:
    close_old_connections()
    return map_catching(lambda one: find_version(*one), wanted, DATABASE_AWAY)


def _find_models(names: Sequence[str]) -> list[RegisteredModel | Exception]:
    close_old_connections()
    return map_catching(find_model, names, DATABASE_AWAY)


async def model(name: str) -> RegisteredModel:
    """`find_model` for a coroutine: from memory, or read in a thread."""
    if (known := registry.cached(name)) is not None:
        return known
    return await asyncio.wrap_future(models.submit(name))


async def version(name: str, number: str | None) -> ModelVersion:
    """`find_version` for a coroutine."""
    if number is None and (known := registry.cached(name)) is not None and known.champion is not None:
        return known.champion
    return await asyncio.wrap_future(versions.submit((name, number)))


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
        if row is None or not may_see(caller, row):
            raise Removed if Tombstone.objects.stands_for(prediction_id) else NotFound
        return registry.attach_versions([row])[0]

    return map_catching(visible, wanted, DATABASE_AWAY)


def _find_predictions(wanted: Sequence[tuple[uuid.UUID, Caller]]) -> list[Prediction | Exception]:
    close_old_connections()
    return find_predictions(wanted)


def _statuses(ids: Sequence[uuid.UUID]) -> list[Status | Exception | None]:
    close_old_connections()
    found = Prediction.objects.fetch_statuses(ids)
    return [found.get(prediction_id) for prediction_id in ids]


predictions = Batcher(_find_predictions, fatal=DATABASE_AWAY, executor=reading)
statuses: Batcher[uuid.UUID, Status | None] = Batcher(_statuses, fatal=DATABASE_AWAY, executor=reading)
