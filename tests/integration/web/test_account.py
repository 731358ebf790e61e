"""Export and removal of a user's data; the data of other users stays untouched."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.models import ApiToken, Feedback, ModelVersion, Prediction, State, Tombstone
from predictions.models.claim import Predicted
from predictions.use_cases import erase, export
from tests.integration.conftest import IRIS, SETOSA, make, signed_in, statements
from tests.integration.web.conftest import Page
from tests.support.site_client import Client


def own(user: User, version: ModelVersion, state: State = State.SUCCEEDED, **fields: Any) -> Prediction:
    return make(version, state, owner=user, caller=f"user:{user.pk}", **fields)


def exported(user: User) -> dict[str, Any]:
    response = signed_in(user).get("/accounts/data/")
    assert response.status_code == 200
    assert response["Content-Disposition"] == 'attachment; filename="foretell-export.json"'
    found: dict[str, Any] = json.loads(b"".join(response))  # type: ignore[call-overload]
    return found


@pytest.mark.parametrize("address", ["/accounts/", "/accounts/data/", "/accounts/data/remove/"])
def test_account_is_for_people_who_have_one(client: Client, db: None, address: str) -> None:
    assert client.get(address)["Location"] == f"/accounts/login/?next={address}"


def test_account_is_reached_from_every_page_and_leads_to_all_of_it(client: Client, owner: User) -> None:
    assert Page(client.get("/")).all("a", href="/accounts/") == []
    known = signed_in(owner)
    assert Page(known.get("/")).one("a", href="/accounts/")

    page = Page(known.get("/accounts/"))

    for address in ("/accounts/tokens/", "/accounts/data/", "/accounts/data/remove/"):
        assert page.one("a", href=address)


# --- Taking away ------------------------------------------------------------------------------------------------------
def test_export_holds_all_that_is_mine_and_nothing_else(iris: ModelVersion, owner: User, stranger: User) -> None:
    old, new = own(owner, iris, State.FAILED, age=60), own(owner, iris)
    theirs = own(stranger, iris)
    Feedback.objects.say(new, f"user:{owner.pk}", was_right=False, actual="virginica", comment="no <b>")
    Feedback.objects.say(theirs, f"user:{stranger.pk}", was_right=True)
    _, secret = ApiToken.objects.create(user=owner, name="a program")

    found = exported(owner)

    assert [row["id"] for row in found["predictions"]] == [str(new.pk), str(old.pk)]
    first, second = found["predictions"]
    assert (first["model"], first["version"], first["status"], first["output"]) == ("iris", 1, "succeeded", SETOSA)
    assert list(first["features"].values()) == IRIS
    assert (second["output"], second["error_code"]) == (None, "model_error")
    assert [(said["prediction"], said["actual"]) for said in found["feedback"]] == [(str(new.pk), "virginica")]
    assert [token["name"] for token in found["tokens"]] == ["a program"]
    assert found["account"]["username"] == "owner"
    assert secret not in json.dumps(found)


def test_export_without_predictions_is_a_document(owner: User) -> None:
    assert exported(owner)["predictions"] == []


def test_export_reads_page_by_page(iris: ModelVersion, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "PAGE", 2)
    rows = [own(owner, iris, age=age) for age in (10, 20, 30, 40, 50)]
    Prediction.objects.update(created_at=rows[0].created_at)  # all have the same time, so the id decides their order

    found = exported(owner)

    assert sorted(row["id"] for row in found["predictions"]) == sorted(str(row.pk) for row in rows)
    with statements() as sent:
        list(export.export(owner))
    assert len([sql for sql in sent if "predictions_prediction" in sql]) == 4


# --- Removing ---------------------------------------------------------------------------------------------------------
def test_remove_asks_first(iris: ModelVersion, owner: User) -> None:
    own(owner, iris)

    page = Page(signed_in(owner).get("/accounts/data/remove/"))

    assert page.one("form", action="/accounts/data/remove/")["method"] == "post"
    assert Prediction.objects.count() == 1


@pytest.mark.usefixtures("clean_redis")
def test_remove_cancels_and_removes_mine_and_nothing_else(iris: ModelVersion, owner: User, stranger: User) -> None:
    mine = [own(owner, iris, state) for state in State]
    theirs = own(stranger, iris)
    Feedback.objects.say(theirs, f"user:{owner.pk}", was_right=True)
    Feedback.objects.say(theirs, f"user:{stranger.pk}", was_right=True)
    ApiToken.objects.create(user=owner, name="mine")
    ApiToken.objects.create(user=stranger, name="theirs")
    client = signed_in(owner)

    response = client.post("/accounts/data/remove/", follow=True)

    assert "Your predictions, feedback, tokens and embeddings are removed." in Page(response).text
    assert list(Prediction.objects.all()) == [theirs]
    assert set(Tombstone.objects.values_list("pk", flat=True)) == {row.pk for row in mine}
    assert [said.caller for said in Feedback.objects.all()] == [f"user:{stranger.pk}"]
    assert [token.name for token in ApiToken.objects.all()] == ["theirs"]
    assert client.get(f"/predictions/{mine[0].pk}/").status_code == 410


@pytest.mark.usefixtures("clean_redis")
def test_result_of_a_prediction_removed_while_running_is_dropped(iris: ModelVersion, owner: User) -> None:
    from predictions.serving.engines.predictor import Outcome

    own(owner, iris, State.QUEUED)
    claim = Prediction.objects.claim("interactive", 64)
    assert claim
    erase.erase(owner)

    assert Prediction.objects.settle([Predicted(claim, [Outcome(SETOSA, None)], 1.0)]).count == 0
    assert not Prediction.objects.exists()


@pytest.mark.usefixtures("clean_redis")
def test_long_removal_continues_with_the_next_post(
    iris: ModelVersion, owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "REMOVAL_SECONDS", 0.0)
    own(owner, iris)
    client = signed_in(owner)

    first = Page(client.post("/accounts/data/remove/", follow=True))
    monkeypatch.undo()
    second = Page(client.post("/accounts/data/remove/", follow=True))

    assert "a part of it is left" in first.text
    assert first.one("form", action="/accounts/data/remove/")
    assert "are removed" in second.text
    assert not Prediction.objects.exists()
