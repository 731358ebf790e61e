"""Look-ups: the model, version or prediction that a caller gets, or the message if there is none."""

import asyncio
import uuid
from collections.abc import Coroutine
from typing import Any

import pytest

from predictions.lifecycle import registry
from predictions.models import Feedback, IdempotencyKey, ModelVersion, Prediction, RegisteredModel, State
from predictions.serving.schema.errors import ModelUnavailable, NotFound, Removed
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller
from tests.integration.conftest import make

SOMEBODY = Caller("visitor:somebody")
OTHER = Caller("visitor:somebody-else")


@pytest.fixture
def model(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registry.find("iris")


def canary(model: RegisteredModel, challenger: ModelVersion, percent: int) -> RegisteredModel:
    """The model, with a challenger that answers `percent` % of the callers."""
    RegisteredModel.objects.filter(pk=model.pk).update(challenger=challenger, canary_percent=percent)
    registry.clear_cache()
    return registry.find(model.name)


# --- Models and versions ----------------------------------------------------------------------------------------------
def test_find_model_returns_the_model_of_that_name(model: RegisteredModel) -> None:
    assert lookup.find_model("iris") == model


def test_find_model_unknown_name_is_named(model: RegisteredModel) -> None:
    with pytest.raises(NotFound, match=r"^There is no model 'rose'\.$"):
        lookup.find_model("rose")


def test_serving_version_without_a_caller_is_the_champion(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, challenger = second
    model = canary(first.registered_model, challenger, 100)

    assert lookup.serving_version(model) == first
    assert lookup.serving_version(model, SOMEBODY) == challenger


def test_serving_version_of_a_caller_beside_the_canary_is_the_champion(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    first, challenger = second
    place = registry.place_of("iris", SOMEBODY.key)

    assert lookup.serving_version(canary(first.registered_model, challenger, place), SOMEBODY) == first
    assert lookup.serving_version(canary(first.registered_model, challenger, place + 1), SOMEBODY) == challenger


def test_serving_version_that_is_unavailable_or_missing_is_an_error(model: RegisteredModel) -> None:
    assert model.champion
    model.champion.unavailable_reason = "broken"
    with pytest.raises(ModelUnavailable) as unavailable:
        lookup.serving_version(model)
    model.champion = None
    with pytest.raises(ModelUnavailable) as missing:
        lookup.serving_version(model)

    assert unavailable.value.reason == missing.value.reason == "no version of iris serves"
    assert unavailable.value.sentence == ModelUnavailable.sentence


def test_serving_version_of_a_paused_model_gives_the_reason(model: RegisteredModel) -> None:
    model.paused_reason = "The labels were wrong."

    with pytest.raises(ModelUnavailable) as paused:
        lookup.serving_version(model, SOMEBODY)

    assert paused.value.reason == "iris is paused"
    assert paused.value.sentence == "This model accepts no predictions at the moment: The labels were wrong."


def test_find_version_without_a_number(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, challenger = second
    canary(first.registered_model, challenger, 100)

    assert lookup.find_version("iris", None) == first
    assert lookup.find_version("iris", None, SOMEBODY) == challenger


def test_find_version_without_a_number_follows_the_callers_place_in_a_canary(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    first, challenger = second
    place = registry.place_of("iris", SOMEBODY.key)

    canary(first.registered_model, challenger, place)
    assert lookup.find_version("iris", None, SOMEBODY) == first
    canary(first.registered_model, challenger, place + 1)
    assert lookup.find_version("iris", None, SOMEBODY) == challenger


@pytest.mark.parametrize("caller", [None, SOMEBODY])
def test_find_version_of_a_number_or_alias_is_the_same_for_every_caller(
    second: tuple[ModelVersion, ModelVersion], caller: Caller | None
) -> None:
    first, challenger = second
    canary(first.registered_model, challenger, 100)

    found = [lookup.find_version("iris", name, caller) for name in ("1", "2", "champion", "challenger", "latest")]

    assert found == [first, challenger, first, challenger, challenger]


@pytest.mark.parametrize("number", ["9", "previous", "nobody"])
def test_find_version_that_does_not_exist_is_named(model: RegisteredModel, number: str) -> None:
    with pytest.raises(NotFound, match=rf"^Model 'iris' has no version {number}\.$"):
        lookup.find_version("iris", number, SOMEBODY)


def test_find_version_of_a_model_without_a_champion(model: RegisteredModel) -> None:
    RegisteredModel.objects.filter(pk=model.pk).update(champion=None)
    registry.clear_cache()

    with pytest.raises(NotFound, match=r"^Model 'iris' has no version\.$"):
        lookup.find_version("iris", None)
    with pytest.raises(NotFound, match=r"^Model 'iris' has no version\.$"):
        lookup.find_version("iris", None, SOMEBODY)


def test_find_version_knows_that_a_version_became_unavailable_since_it_was_read(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    assert lookup.find_version("iris", "2").is_available
    ModelVersion.objects.filter(pk=second[1].pk).update(unavailable_reason="broken")

    assert lookup.find_version("iris", "2").unavailable_reason == "broken"


def test_find_version_after_a_restore_is_the_one_that_is_registered_now(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    lookup.find_version("iris", "2")
    ModelVersion.objects.filter(pk=second[1].pk).update(sha256="1" * 64)

    assert lookup.find_version("iris", "2").sha256 == "1" * 64


# --- The version of a key ---------------------------------------------------------------------------------------------
def test_version_of_key_is_that_of_the_callers_own_prediction(second: tuple[ModelVersion, ModelVersion]) -> None:
    first, other = second
    mine, theirs = make(first), make(other, caller=OTHER.key)
    IdempotencyKey.objects.take(
        [
            IdempotencyKey(caller=SOMEBODY.key, key="k", prediction_id=mine.pk, request_hash=""),
            IdempotencyKey(caller=OTHER.key, key="k", prediction_id=theirs.pk, request_hash=""),
            IdempotencyKey(caller=OTHER.key, key="theirs alone", prediction_id=theirs.pk, request_hash=""),
        ]
    )

    assert lookup.version_of_key(SOMEBODY.key, "k") == first
    assert lookup.version_of_key(OTHER.key, "k") == other
    assert lookup.version_of_key(SOMEBODY.key, "theirs alone") is None
    assert lookup.version_of_key(SOMEBODY.key, "unused") is None


def test_version_of_key_of_a_deleted_prediction_is_none(model: RegisteredModel) -> None:
    IdempotencyKey.objects.take(
        [IdempotencyKey(caller=SOMEBODY.key, key="k", prediction_id=uuid.uuid4(), request_hash="")]
    )

    assert lookup.version_of_key(SOMEBODY.key, "k") is None


# --- Predictions ------------------------------------------------------------------------------------------------------
def test_find_predictions_gives_each_its_row_or_its_own_error(iris: ModelVersion, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = True
    kept, removed = make(iris), make(iris, State.SUCCEEDED)
    only_wine = Caller(SOMEBODY.key, only_model="wine")
    assert Prediction.objects.remove([removed.pk]) == 1

    wanted = [(kept.pk, SOMEBODY), (removed.pk, SOMEBODY), (uuid.uuid4(), SOMEBODY), (kept.pk, only_wine)]
    found = lookup.find_predictions(wanted)

    assert found[0] == kept
    assert [type(error) for error in found[1:]] == [Removed, NotFound, NotFound]


def test_find_prediction_has_its_version_and_raises_its_error(iris: ModelVersion, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = True
    kept = make(iris)

    found = lookup.find_prediction(kept.pk, SOMEBODY)

    assert (found, found.version) == (kept, iris)
    with pytest.raises(NotFound):
        lookup.find_prediction(uuid.uuid4(), SOMEBODY)


def test_attach_feedback_gives_each_caller_what_they_said_of_an_answer(iris: ModelVersion) -> None:
    answered, failed = make(iris, State.SUCCEEDED), make(iris, State.FAILED)
    said = Feedback.objects.create(prediction=answered, caller=SOMEBODY.key, was_right=True)
    Feedback.objects.create(prediction=failed, caller=SOMEBODY.key, was_right=True)
    again = Prediction.objects.get(pk=answered.pk)

    lookup.attach_feedback(
        [(answered, SOMEBODY.key), (again, OTHER.key), (failed, SOMEBODY.key), (NotFound(), SOMEBODY.key)]
    )

    assert [row.own_feedback for row in (answered, again, failed)] == [said, None, None]


# --- For coroutines ---------------------------------------------------------------------------------------------------
def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


@pytest.mark.django_db(transaction=True)
def test_coroutines_find_the_same_with_and_without_a_copy_in_memory(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    first, challenger = second
    canary(first.registered_model, challenger, 100)

    for _ in range(2):
        registry.clear_cache()
        assert awaited(lookup.version("iris", None, SOMEBODY)) == challenger
        assert awaited(lookup.model("iris")) == first.registered_model
        assert awaited(lookup.model("iris")) == first.registered_model
        assert awaited(lookup.version("iris", None, SOMEBODY)) == challenger
        assert awaited(lookup.version("iris", "1", SOMEBODY)) == first


@pytest.mark.django_db(transaction=True)
def test_coroutine_without_a_number_follows_the_callers_place_in_a_canary(
    second: tuple[ModelVersion, ModelVersion],
) -> None:
    first, challenger = second
    place = registry.place_of("iris", SOMEBODY.key)

    canary(first.registered_model, challenger, place)
    assert awaited(lookup.version("iris", None, SOMEBODY)) == first
    canary(first.registered_model, challenger, place + 1)
    assert awaited(lookup.version("iris", None, SOMEBODY)) == challenger


@pytest.mark.django_db(transaction=True)
def test_coroutines_get_the_error_of_their_own_name(model: RegisteredModel) -> None:
    async def ask() -> list[Any]:
        return await asyncio.gather(
            lookup.model("rose"),
            lookup.version("iris", "9", SOMEBODY),
            lookup.version("iris", "1", SOMEBODY),
            return_exceptions=True,
        )

    registry.clear_cache()
    rose, ninth, first = awaited(ask())

    assert (type(rose), str(rose)) == (NotFound, "There is no model 'rose'.")
    assert (type(ninth), str(ninth)) == (NotFound, "Model 'iris' has no version 9.")
    assert first == model.champion


@pytest.mark.django_db(transaction=True)
def test_statuses_and_predictions_are_read_together(iris: ModelVersion, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = True
    row, unknown = make(iris, State.SUCCEEDED), uuid.uuid4()
    said = Feedback.objects.create(prediction=row, caller=SOMEBODY.key, was_right=True)

    statuses = [lookup.statuses.submit(one) for one in (row.pk, unknown)]
    predictions = [lookup.predictions.submit((one, SOMEBODY)) for one in (row.pk, unknown)]

    assert [status.result(10) and status.result(10)[0] for status in statuses] == ["succeeded", None]
    assert predictions[0].result(10) == row
    assert predictions[0].result(10).own_feedback == said
    assert isinstance(predictions[1].exception(10), NotFound)
