"""Callers: their keys, and the predictions that each may see and change."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.models import Embedding, ModelVersion, Prediction, RegisteredModel
from predictions.serving.schema.errors import Forbidden
from predictions.use_cases.callers import (
    Caller,
    check_may_change,
    history_of,
    may_change,
    may_see,
    of_address,
    of_embedding,
    of_user,
    of_visitor,
)
from tests.integration.conftest import make

SOMEBODY = Caller("visitor:somebody")
OTHER = Caller("visitor:somebody-else")


# --- Who asks ---------------------------------------------------------------------------------------------------------
def test_user_is_known_by_their_account(owner: User) -> None:
    caller = of_user(owner)

    assert (caller.key, caller.user, caller.address, caller.has_history) == (f"user:{owner.pk}", owner, None, True)
    assert (caller.routed_as, caller.limited_as) == (caller.key, [caller.key])


def test_visitor_is_known_by_a_cookie_and_counted_by_the_address_too() -> None:
    caller, renewed = of_visitor("one", "192.0.2.1"), of_visitor("two", "192.0.2.1")

    assert (caller.key, caller.user, caller.has_history) == ("visitor:one", None, True)
    assert caller.address == renewed.address == of_address("192.0.2.1").address
    assert caller.address != of_visitor("one", "192.0.2.2").address
    assert caller.routed_as == renewed.routed_as == of_address("192.0.2.1").key
    assert caller.limited_as == [of_address("192.0.2.1").key, "visitor:one"]


def test_address_is_kept_as_a_hash_and_has_no_history() -> None:
    caller = of_address("192.0.2.1")

    assert caller.address
    assert caller.key == f"address:{caller.address.hex}"
    assert "192.0.2.1" not in caller.key
    assert not caller.has_history
    assert caller.limited_as == [caller.key]


def test_addresses_of_one_network_are_one_caller() -> None:
    assert of_address("2001:db8::1").key == of_address("2001:db8::2").key
    assert of_address("2001:db8::1").key != of_address("2001:db8:0:1::1").key
    assert of_address("unknown").key != of_address("other").key


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_this_machine_has_a_history_in_development_only(address: str, settings: Any) -> None:
    settings.DEVELOPMENT, settings.PRODUCTION = True, False
    assert of_address(address).has_history
    assert not of_address("192.0.2.1").has_history

    settings.PRODUCTION = True
    assert not of_address(address).has_history
    settings.DEVELOPMENT, settings.PRODUCTION = False, False
    assert not of_address(address).has_history


def test_people_of_one_embedding_are_one_caller_from_many_addresses() -> None:
    embedding = Embedding(pk=7)
    caller, other = of_embedding(embedding, "192.0.2.1"), of_embedding(embedding, "192.0.2.2")

    assert caller.key == other.key == "embed:7"
    assert not caller.has_history
    assert caller.address == of_address("192.0.2.1").address
    assert other.address == of_address("192.0.2.2").address


# --- What a caller may see --------------------------------------------------------------------------------------------
def test_owner_and_analyst_see_an_owned_prediction(
    iris: ModelVersion, owner: User, stranger: User, analyst: User, settings: Any
) -> None:
    owned = make(iris, owner=owner, caller=f"user:{owner.pk}")
    callers = [of_user(owner), of_user(analyst), of_user(stranger), SOMEBODY, Caller(owned.caller)]

    for public in (True, False):
        settings.PUBLIC_PREDICTIONS = public
        assert [may_see(caller, owned) for caller in callers] == [True, True, False, False, False]
        assert [may_change(caller, owned) for caller in callers] == [True, True, False, False, False]


def test_every_caller_sees_an_unowned_prediction_where_predictions_are_public(
    iris: ModelVersion, stranger: User, analyst: User, settings: Any
) -> None:
    row = make(iris)
    callers = [SOMEBODY, OTHER, of_user(stranger), of_user(analyst)]

    settings.PUBLIC_PREDICTIONS = True
    assert [may_see(caller, row) for caller in callers] == [True] * 4
    settings.PUBLIC_PREDICTIONS = False
    assert [may_see(caller, row) for caller in callers] == [False, False, False, True]


def test_unowned_prediction_is_changed_by_the_caller_who_asked_only(
    iris: ModelVersion, analyst: User, settings: Any
) -> None:
    settings.PUBLIC_PREDICTIONS = True
    row = make(iris)

    assert [may_change(caller, row) for caller in (SOMEBODY, OTHER, of_user(analyst))] == [True, False, False]
    check_may_change(SOMEBODY, row)
    with pytest.raises(Forbidden):
        check_may_change(OTHER, row)


def test_token_for_one_model_sees_predictions_of_that_model_only(
    iris: ModelVersion, registered: dict[str, RegisteredModel], owner: User, settings: Any
) -> None:
    settings.PUBLIC_PREDICTIONS = True
    assert registered["wine"].champion
    unowned, other = make(iris), make(registered["wine"].champion)
    owned = make(iris, owner=owner, caller=f"user:{owner.pk}")
    caller = Caller(f"user:{owner.pk}", owner, only_model="iris")

    assert [may_see(caller, row) for row in (unowned, owned, other)] == [True, True, False]


# --- A caller's own predictions ---------------------------------------------------------------------------------------
def test_history_is_the_callers_own_newest_first(iris: ModelVersion) -> None:
    old, new = make(iris, age=10), make(iris)
    make(iris, caller=OTHER.key)

    assert list(history_of(SOMEBODY)) == [new, old]


def test_history_of_a_shared_address_is_empty(iris: ModelVersion) -> None:
    make(iris)

    assert list(history_of(Caller(SOMEBODY.key, has_history=False))) == []
    assert list(history_of(Caller(SOMEBODY.key, has_history=False, only_model="iris"))) == []


def test_history_of_a_token_for_one_model_has_that_model_only(
    iris: ModelVersion, registered: dict[str, RegisteredModel]
) -> None:
    assert registered["wine"].champion
    own, _ = make(iris), make(registered["wine"].champion)

    assert list(history_of(Caller(SOMEBODY.key, only_model="iris"))) == [own]
    assert Prediction.objects.count() == 2
