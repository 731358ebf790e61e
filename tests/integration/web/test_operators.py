"""Operators change what serves on the page of versions; a worker proves it first, and the keeper asks again."""

from datetime import timedelta

import pytest
import redis
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from predictions.lifecycle import changes, registry
from predictions.maintenance import promotions
from predictions.models import ApiToken, LifecycleEvent, ModelVersion, RegisteredModel
from predictions.models.api_token import Scope
from predictions.queue import notifications
from tests.integration.conftest import signed_in
from tests.support.api_client import ApiClient
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, CHANGE = "/models/iris/versions/", "/models/iris/versions/change/"


@pytest.fixture
def second(iris: ModelVersion) -> ModelVersion:
    """Version 2 of iris, which was not promoted."""
    row = ModelVersion.objects.get(pk=iris.pk)
    row.pk, row.number = None, 2
    row.save()
    return row


@pytest.fixture
def operator(db: None) -> Client:
    user = User.objects.create_user("olga", password="secret-of-olga")
    user.user_permissions.add(Permission.objects.get(codename="operate_models"))
    return signed_in(user)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ids of the requests for promotion that workers were told of."""
    told: list[int] = []
    monkeypatch.setattr(notifications, "ask_to_promote", told.append)
    return told


def change(client: Client, what: str, reason: str = "") -> str:
    """Ask for a change. Returns the page that follows."""
    response = client.post(CHANGE, {"what": what, "reason": reason}, follow=True)
    assert response.status_code == 200
    return str(response.content.decode())


def champion() -> int | None:
    registry.clear_cache()
    found = registry.find("iris").champion
    return found and found.number


def history() -> list[tuple[str, int | None, str, str]]:
    found = LifecycleEvent.objects.order_by("id").select_related("version")
    return [(event.action, event.version and event.version.number, event.actor, event.reason) for event in found]


# --- Promotion --------------------------------------------------------------------------------------------------------
def test_promotion_waits_for_the_proof_of_a_worker(second: ModelVersion, operator: Client, asked: list[int]) -> None:
    page = change(operator, "promote:2", "better in spring")
    assert champion() == 1
    assert "A worker proves version 2" in page

    changes.carry_out(asked[0], prove=lambda _: True)
    assert champion() == 2
    assert history() == [
        ("requested", 2, "olga", "better in spring"),
        ("promoted", 2, "olga", "better in spring"),
    ]
    assert "Roll back to version 1" in operator.get(PAGE).content.decode()


def test_change_is_made_of_the_model_as_it_is_not_as_it_is_remembered(
    second: ModelVersion, operator: Client, asked: list[int]
) -> None:
    """Another process has promoted version 2 a moment ago, and this one still remembers version 1."""
    assert champion() == 1
    RegisteredModel.objects.filter(name="iris").update(
        champion=second, previous_champion=second.registered_model.champion
    )
    assert "serves already" not in change(operator, "promote:1")
    assert LifecycleEvent.objects.get(pk=asked[0]).version.number == 1  # type: ignore[union-attr]
    assert "Version 2 serves already" in change(operator, "promote:2")


def test_version_that_fails_its_proof_is_refused_and_the_old_one_serves(
    second: ModelVersion, operator: Client, asked: list[int]
) -> None:
    change(operator, "promote:2")
    ModelVersion.objects.mark_unavailable(second.pk, "Row 3 alone differs.")
    changes.carry_out(asked[0], prove=lambda _: False)

    assert champion() == 1
    assert history()[-1] == ("refused", 2, "olga", "Row 3 alone differs.")
    assert "A worker proves version 2" not in operator.get(PAGE).content.decode()


def test_message_that_comes_twice_promotes_once(second: ModelVersion, operator: Client, asked: list[int]) -> None:
    change(operator, "promote:2")
    for _ in range(2):
        changes.carry_out(asked[0], prove=lambda _: True)
    assert [action for action, *_ in history()] == ["requested", "promoted"]


def test_lost_message_is_sent_again_by_the_keeper(second: ModelVersion, operator: Client, asked: list[int]) -> None:
    change(operator, "promote:2")
    asked.clear()

    promotions.ask_again()
    assert asked == [LifecycleEvent.objects.get().pk]
    changes.carry_out(asked[0], prove=lambda _: True)
    asked.clear()
    promotions.ask_again()
    assert asked == []


def test_promotion_that_no_worker_proves_is_given_up(second: ModelVersion, operator: Client, asked: list[int]) -> None:
    change(operator, "promote:2")
    LifecycleEvent.objects.update(at=timezone.now() - timedelta(minutes=11))
    asked.clear()

    promotions.ask_again()
    assert asked == []
    assert history()[-1][0] == "refused"
    assert "No worker has proved the version within 10 minutes" in history()[-1][3]


def test_request_survives_without_redis(second: ModelVersion, operator: Client) -> None:
    change(operator, "promote:2")
    assert LifecycleEvent.objects.pending().count() == 1


def test_worker_promotes_when_it_is_told(
    second: ModelVersion, operator: Client, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    from predictions import tasks

    monkeypatch.setattr(notifications, "ask_to_promote", tasks.promote)
    monkeypatch.setattr("predictions.worker.preload.examine", lambda _: True)
    change(operator, "promote:2")
    assert champion() == 2


# --- Pause and archive ------------------------------------------------------------------------------------------------
def test_paused_model_says_why_and_is_resumed(iris: ModelVersion, operator: Client) -> None:
    assert "Say why: those who ask are told it." in change(operator, "pause")
    page = change(operator, "pause", "The lab changes its device.")
    assert "The lab changes its device." in page
    assert RegisteredModel.objects.get(name="iris").paused_reason == "The lab changes its device."
    assert "Not serving now" in operator.get("/").content.decode()

    change(operator, "resume")
    assert "Not serving now" not in operator.get("/").content.decode()
    assert RegisteredModel.objects.get(name="iris").paused_reason == ""


def test_archived_version_is_brought_back(second: ModelVersion, operator: Client, asked: list[int]) -> None:
    assert "Bring version 2 back" in change(operator, "archive:2")
    assert "is archived. Bring it back first." in change(operator, "promote:2")
    assert "Let version 2 serve" in change(operator, "restore:2")
    assert asked == []


@pytest.mark.parametrize("what", ["", "promote", "promote:", "promote:77", "promote:x", "burn:1", "promote:9999999999"])
def test_change_that_there_is_not_is_refused_in_words(iris: ModelVersion, operator: Client, what: str) -> None:
    assert "Choose what to change." in change(operator, what)
    assert history() == []


def test_version_that_serves_is_neither_promoted_nor_archived(iris: ModelVersion, operator: Client) -> None:
    assert "Version 1 serves already." in change(operator, "promote:1")
    assert "serves; promote another version first" in change(operator, "archive:1")


# --- Who --------------------------------------------------------------------------------------------------------------
def test_only_operators_see_the_form(second: ModelVersion, operator: Client, analyst: User) -> None:
    assert "Change what serves" in operator.get(PAGE).content.decode()
    page = signed_in(analyst).get(PAGE).content.decode()
    assert "Change what serves" not in page
    assert "History" in page
    assert signed_in(analyst).post(CHANGE, {"what": "pause", "reason": "x"}).status_code == 403


def test_groups_have_their_permissions() -> None:
    """The migration makes them. A flush between tests may have deleted them, so its function is called again."""
    from importlib import import_module

    from django.apps import apps

    import_module("predictions.migrations.0009_operators").make_groups(apps, None)
    found = {group.name: {one.codename for one in group.permissions.all()} for group in Group.objects.all()}
    assert found == {"analysts": {"view_monitor"}, "operators": {"view_monitor", "operate_models"}}


# --- By program -------------------------------------------------------------------------------------------------------
CHANGES = "/api/v1/models/iris/changes/"


@pytest.fixture
def program(operator: Client, clean_redis: redis.Redis) -> ApiClient:
    """A client with a token of the operator that may change what serves."""
    return with_token(Scope.OPERATE)


def with_token(scope: Scope, username: str = "olga") -> ApiClient:
    user = User.objects.get(username=username)
    _, secret = ApiToken.objects.create(user=user, name="cron", expiry=None, scope=scope)
    return ApiClient(Authorization=f"Bearer {secret}")


def test_program_promotes_with_a_token_for_it(second: ModelVersion, program: ApiClient, asked: list[int]) -> None:
    answer = program.post(CHANGES, {"change": "promote", "version": 2, "reason": "nightly"})
    assert answer.status_code == 202
    assert answer.json()["model"]["version"] == 1
    changes.carry_out(asked[0], prove=lambda _: True)
    assert champion() == 2
    assert history()[-1] == ("promoted", 2, "olga", "nightly")

    asked.clear()
    assert program.post(CHANGES, {"change": "rollback"}).status_code == 202
    changes.carry_out(asked[0], prove=lambda _: True)
    assert champion() == 1


def test_program_pauses_and_resumes(iris: ModelVersion, program: ApiClient) -> None:
    assert program.post(CHANGES, {"change": "pause", "reason": "Maintenance."}).status_code == 200
    assert RegisteredModel.objects.get(name="iris").paused_reason == "Maintenance."
    assert program.post(CHANGES, {"change": "resume"}).json()["detail"] == "The model accepts predictions again."
    refused = program.post(CHANGES, {"change": "resume"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_changeable")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"change": "burn"}, "/change"),
        ({"change": 7}, "/change"),
        ({"change": "promote"}, "/version"),
        ({"change": "promote", "version": "2"}, "/version"),
        ({"change": "promote", "version": True}, "/version"),
        ({"change": "pause"}, "/reason"),
        ({"change": "pause", "reason": 7}, "/reason"),
        ({"change": "resume", "when": "now"}, "/when"),
        ([], ""),
    ],
)
def test_wrong_change_is_refused_with_its_place(
    iris: ModelVersion, program: ApiClient, body: object, pointer: str
) -> None:
    refused = program.post(CHANGES, body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert history() == []


def test_version_that_there_is_not_is_404(iris: ModelVersion, program: ApiClient) -> None:
    assert program.post(CHANGES, {"change": "promote", "version": 77}).status_code == 404


def test_other_tokens_change_nothing(iris: ModelVersion, operator: Client, analyst: User) -> None:
    body = {"change": "pause", "reason": "x"}
    for client in (with_token(Scope.PREDICT), with_token(Scope.READ), with_token(Scope.OPERATE, "analyst")):
        assert client.post(CHANGES, body).status_code == 403
    assert ApiClient().post(CHANGES, body).status_code == 401
    assert history() == []


def test_only_operators_make_a_token_that_operates(operator: Client, analyst: User) -> None:
    words = {"name": "cron", "days": "30", "scope": "operate"}
    assert signed_in(analyst).post("/accounts/tokens/", words).status_code == 422
    assert operator.post("/accounts/tokens/", words).status_code == 302
    assert [token.scope for token in ApiToken.objects.all()] == ["operate"]
    assert "Predict, read, and change what serves" in operator.get("/accounts/tokens/").content.decode()
