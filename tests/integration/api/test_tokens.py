"""Tokens with restricted rights, and the command that makes them."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from predictions.models import ApiToken, ModelVersion, RegisteredModel, State
from tests.integration.api.conftest import problem
from tests.integration.conftest import IRIS, make
from tests.support.api_client import ApiClient

ROW = {"features": IRIS}


def make_token(*options: str) -> ApiClient:
    out = StringIO()
    call_command("create_token", "owner", "--name", "a program", *options, stdout=out)
    return ApiClient(Authorization=f"Bearer {out.getvalue().strip()}")


def test_command_makes_a_token_that_may_predict(owner: User, iris: ModelVersion) -> None:
    client = make_token()

    assert client.post("/api/v1/models/iris/predictions/", ROW).status_code == 202
    token = ApiToken.objects.get()
    assert (token.name, token.user, token.expiry is not None) == ("a program", owner, True)


def test_token_without_an_end_has_no_expiry(owner: User, iris: ModelVersion) -> None:
    make_token("--days", "0")

    assert ApiToken.objects.get().expiry is None


def test_token_that_may_read_changes_nothing(owner: User, iris: ModelVersion) -> None:
    client = make_token("--read-only")
    row = make(iris, owner=owner, caller=f"user:{owner.pk}")

    assert client.get(f"/api/v1/predictions/{row.pk}/").status_code == 200
    assert client.post("/v2/repository/index").status_code == 200
    for method, path in (
        ("POST", "/api/v1/models/iris/predictions/"),
        ("POST", f"/api/v1/predictions/{row.pk}/cancel/"),
        ("DELETE", f"/api/v1/predictions/{row.pk}/"),
    ):
        refused = client.request(method, path, ROW, content_type="application/json")
        assert problem(refused, 403)["code"] == "insufficient_scope"
        assert 'error="insufficient_scope"' in refused["WWW-Authenticate"]
    assert client.post("/v2/models/iris/infer", {}).status_code == 403


def test_token_for_one_model_sees_that_model_only(
    owner: User, iris: ModelVersion, registered: dict[str, RegisteredModel]
) -> None:
    client = make_token("--model", "iris")
    wine = registered["wine"].champion
    assert wine
    values = [wine.manifest["profile"]["features"][name]["mean"] for name in wine.signature.names]
    own: dict[str, Any] = {"owner": owner, "caller": f"user:{owner.pk}"}
    of_iris, of_wine = make(iris, State.SUCCEEDED, **own), make(wine, values=values, **own)

    assert [one["name"] for one in client.get("/api/v1/models/").json()["results"]] == ["iris"]
    assert [one["id"] for one in client.get("/api/v1/predictions/").json()["results"]] == [str(of_iris.pk)]
    assert client.get(f"/api/v1/predictions/{of_iris.pk}/").status_code == 200
    problem(client.get(f"/api/v1/predictions/{of_wine.pk}/"), 404)
    problem(client.post("/api/v1/models/wine/predictions/", ROW), 403)
    assert "alcohol" not in client.get("/api/v1/schema/").content.decode()
    assert client.get("/v2/models/wine").status_code == 403
    assert {one["name"] for one in client.post("/v2/repository/index").json()} == {"iris"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nobody", "--name", "x"], "no active user 'nobody'"),
        (["owner", "--name", "x", "--model", "rose"], "no model 'rose'"),
        (["owner", "--name", "x", "--days", "-1"], "0 or more"),
    ],
)
def test_command_says_what_is_wrong(owner: User, options: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("create_token", *options)
