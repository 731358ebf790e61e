"""Aliases of versions: set, moved and removed by command and by program, and asked for."""

import pytest
from django.core.management import CommandError

from predictions.models import Alias, LifecycleEvent, ModelVersion, RegisteredModel
from tests.integration.conftest import IRIS
from tests.support.api_client import ApiClient
from tests.support.commands import run
from tests.support.site_client import Client

Versions = tuple[ModelVersion, ModelVersion]
ASK = "/api/v1/models/iris/predictions/"


def asked(version: object) -> object:
    return ApiClient().post(ASK, {"features": IRIS, "version": version}).json().get("version")


def test_alias_is_asked_for_moved_and_removed(second: Versions) -> None:
    assert run("alias", "iris", "stable", "1") == "stable is iris v1.\n"
    assert asked("stable") == 1
    run("alias", "iris", "stable", "latest", "--reason", "spring")
    assert asked("stable") == 2
    assert ApiClient().get("/v2/models/iris/versions/stable/ready").status_code == 200
    assert ApiClient().get("/api/v1/models/iris/").json()["aliases"] == {"stable": 2}

    run("alias", "iris", "stable", "--remove")
    assert ApiClient().post(ASK, {"features": IRIS, "version": "stable"}).status_code == 404
    told = [(event.action, event.alias, event.reason) for event in LifecycleEvent.objects.order_by("id")]
    assert told == [
        ("alias_set", "stable", ""),
        ("alias_set", "stable", "spring"),
        ("alias_removed", "stable", ""),
    ]


def test_challenger_is_an_alias(second: Versions) -> None:
    run("alias", "iris", "challenger", "2")
    assert asked("challenger") == 2
    with pytest.raises(CommandError, match="The challenger is another version"):
        run("alias", "iris", "challenger", "1")
    run("alias", "iris", "challenger", "--remove")
    assert RegisteredModel.objects.get(name="iris").challenger is None
    with pytest.raises(CommandError, match="no challenger"):
        run("alias", "iris", "challenger", "--remove")


@pytest.mark.parametrize("name", ["champion", "previous", "latest", "v2", "2", "Stable", "a b", "-a", "x" * 51, ""])
def test_alias_with_a_wrong_name_is_refused(second: Versions, name: str) -> None:
    with pytest.raises(CommandError):
        run("alias", "iris", "--", name, "1")
    assert not Alias.objects.exists()


def test_archived_version_gets_no_alias_and_a_named_one_is_not_archived(second: Versions) -> None:
    run("alias", "iris", "stable", "2")
    with pytest.raises(CommandError, match="has the alias stable; move or remove it first"):
        run("archive", "iris", "2")
    run("alias", "iris", "stable", "--remove")
    run("archive", "iris", "2")
    for alias in ("stable", "challenger"):
        with pytest.raises(CommandError, match="Version 2 is archived"):
            run("alias", "iris", alias, "2")


def test_alias_without_a_version_is_refused(second: Versions) -> None:
    with pytest.raises(CommandError, match="Say a version, or --remove"):
        run("alias", "iris", "stable")
    with pytest.raises(CommandError, match="iris has no version 7"):
        run("alias", "iris", "stable", "7")
    with pytest.raises(CommandError, match="iris has no alias stable"):
        run("alias", "iris", "stable", "--remove")


def test_operator_names_versions_on_the_page(second: Versions, operator: Client) -> None:
    change = "/models/iris/versions/change/"
    page = operator.post(change, {"what": "alias:2", "alias": "stable"}, follow=True).content.decode()
    assert "stable is version 2." in page
    page = operator.post(change, {"what": "alias:2", "alias": "No way"}, follow=True).content.decode()
    assert "An alias has 1 to 50 of the characters" in page
    page = operator.post(change, {"what": "remove_alias", "alias": "stable"}, follow=True).content.decode()
    assert "There is no alias stable any more." in page
    page = operator.post(change, {"what": "remove_alias", "alias": "stable"}, follow=True).content.decode()
    assert "iris has no alias stable." in page
