"""Canary: the same share of the callers is answered by the challenger, and none if it does not serve."""

from uuid import UUID

import pytest
from django.core.management import CommandError

from predictions.lifecycle import changes, registry
from predictions.maintenance import challengers
from predictions.models import LifecycleEvent, ModelVersion, RegisteredModel
from predictions.queue import notifications
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller
from tests.integration.conftest import IRIS, statements
from tests.support.asking import ask_row
from tests.support.commands import run
from tests.support.site_client import Client

Versions = tuple[ModelVersion, ModelVersion]
CALLERS = [Caller(f"user:{number}") for number in range(400)]


def iris() -> RegisteredModel:
    registry.clear_cache()
    return lookup.find_model("iris")


def answering() -> list[int]:
    """The number of the version that answers each caller."""
    model = iris()
    return [lookup.serving_version(model, caller).number for caller in CALLERS]


@pytest.fixture
def challenged(second: Versions) -> Versions:
    run("alias", "iris", "challenger", "2")
    return second


def test_canary_answers_the_same_share_of_callers_at_all_times(challenged: Versions) -> None:
    run("canary", "iris", "25")
    first = answering()
    assert 60 <= first.count(2) <= 140
    assert answering() == first

    run("canary", "iris", "50%")
    more = answering()
    assert all(after == 2 for before, after in zip(first, more, strict=True) if before == 2)
    run("canary", "iris", "0")
    assert set(answering()) == {1}


def test_caller_without_an_account_keeps_its_version_without_its_cookie(challenged: Versions) -> None:
    run("canary", "iris", "50")
    model = iris()
    for number in range(20):
        address = UUID(int=number)
        keys = [f"visitor:{number}", f"visitor:other-{number}", f"address:{address.hex}"]
        answered = {lookup.serving_version(model, Caller(key, address=address)).number for key in keys}
        assert len(answered) == 1


def test_canary_adds_no_statement_to_a_submission(challenged: Versions) -> None:
    run("canary", "iris", "100")
    model = iris()
    with statements() as sent:
        row = ask_row(model, IRIS, CALLERS[0])
    assert len(sent) == 3
    assert row.version.number == 1  # the helper submits to the champion

    with statements() as sent:
        assert lookup.serving_version(lookup.find_model("iris"), CALLERS[0]).number == 2
    assert sent == []


def test_operator_starts_a_canary_after_a_worker_has_proved_it(
    challenged: Versions, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(notifications, "ask_to_promote", told.append)
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call: call())
    change = "/models/iris/versions/change/"
    page = operator.post(change, {"what": "canary", "percent": "100"}, follow=True).content.decode()
    assert "A worker proves the challenger now." in page
    assert set(answering()) == {1}

    changes.carry_out(told[0], prove=lambda _: False)
    assert set(answering()) == {1}
    assert LifecycleEvent.objects.first().action == "refused"  # type: ignore[union-attr]

    operator.post(change, {"what": "canary", "percent": "100"})
    changes.carry_out(told[1], prove=lambda _: True)
    assert set(answering()) == {2}
    assert "It answers 100 % of the callers" in operator.get("/models/iris/versions/").content.decode()
    page = operator.post(change, {"what": "canary", "percent": "101"}, follow=True).content.decode()
    assert "Must be a whole number from 0 to 100." in page


def test_canary_whose_challenger_does_not_serve_is_stopped(challenged: Versions) -> None:
    run("canary", "iris", "100")
    ModelVersion.objects.mark_unavailable(challenged[1].pk, "Its file is gone.")
    assert set(answering()) == {1}

    assert challengers.watch()["canaries stopped"] == 1
    assert RegisteredModel.objects.get(name="iris").canary_percent == 0
    event = LifecycleEvent.objects.first()
    assert event is not None
    assert (event.action, event.actor, event.percent) == ("canary", "keeper", 0)
    assert "Its file is gone." in event.reason
    assert challengers.watch()["canaries stopped"] == 0


def test_canary_needs_a_challenger_that_asks_for_the_same(second: Versions) -> None:
    for words in (("canary", "iris", "10"), ("canary", "iris", "0"), ("shadow", "iris", "10")):
        with pytest.raises(CommandError, match="This model has no challenger"):
            run(*words)
    run("alias", "iris", "challenger", "2")
    manifest = second[1].manifest
    manifest["signature"][0]["name"] = "another"
    ModelVersion.objects.filter(pk=second[1].pk).update(manifest=manifest)
    with pytest.raises(CommandError, match="Version 2 asks for other values than version 1"):
        run("canary", "iris", "10")


def test_promotion_ends_the_canary(challenged: Versions) -> None:
    run("canary", "iris", "100")
    run("promote", "iris", "challenger")
    model = iris()
    assert (model.challenger, model.canary_percent) == (None, 0)
    assert set(answering()) == {2}
