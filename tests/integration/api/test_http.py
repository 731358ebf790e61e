"""HTTP in the API: slashes, methods, caching, framing, credentials, and the information for strangers."""

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.models import ApiToken, ModelVersion, Prediction, RegisteredModel, State
from tests.integration.api.conftest import problem
from tests.integration.conftest import IRIS, make
from tests.support.api_client import ApiClient
from tests.support.door import GONE, Body, open_door

ROW = {"features": IRIS}
PREDICT = "/api/v1/models/iris/predictions/"
JSON = {"Content_Type": "application/json"}


# --- Slashes ----------------------------------------------------------------------------------------------------------
def test_post_without_the_last_slash_is_answered(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, caller="user:0", owner=None)

    assert client.post(PREDICT.rstrip("/"), ROW).status_code == 202
    assert problem(client.post(f"/api/v1/predictions/{row.pk}/cancel"), 403)
    assert client.get("/api/v1/models").json() == client.get("/api/v1/models/").json()


@pytest.mark.parametrize("path", ["/v2/", "/v2/health/live/", "/v2/models/iris/", "/v2/models/iris/ready/"])
def test_last_slash_under_v2_is_answered(client: ApiClient, iris: ModelVersion, path: str) -> None:
    assert client.get(path).json() == client.get(path.rstrip("/")).json()
    assert client.get(path).status_code == 200


def test_infer_with_a_last_slash_is_answered(client: ApiClient, iris: ModelVersion) -> None:
    response = client.post("/v2/models/iris/infer/", {"inputs": []})

    assert (response.status_code, response.json()) == (400, {"error": '"inputs" must have at least one tensor.'})


def test_redirect_to_https_keeps_the_method(client: ApiClient, iris: ModelVersion, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert client.post(PREDICT, ROW).status_code == 308


# --- Addresses --------------------------------------------------------------------------------------------------------
def test_index_says_where_everything_is(client: ApiClient, iris: ModelVersion) -> None:
    urls = client.get("/api/v1/").json()["urls"]

    assert urls.keys() == {"models", "predictions", "schema", "docs"}
    assert client.get(urls["models"]).status_code == client.get(urls["schema"]).status_code == 200


@pytest.mark.parametrize("end", ["", "cancel/", "feedback/"])
def test_id_is_found_in_any_case(client: ApiClient, iris: ModelVersion, end: str) -> None:
    row = make(iris, State.SUCCEEDED)
    path = f"/api/v1/predictions/{str(row.pk).upper()}/{end}"

    response = client.post(path) if end == "cancel/" else client.get(path)

    # A reply may be a refusal, but the address exists.
    assert "There is no such" not in response.json().get("detail", "")


@pytest.mark.parametrize("path", ["models/", "models/iris/", "schema/", "", "predictions/{}/"])
def test_unknown_query_parameter_is_422(client: ApiClient, iris: ModelVersion, path: str) -> None:
    path = path.format(make(iris).pk)

    body = problem(client.get(f"/api/v1/{path}?colour=red"), 422)

    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [("/colour", "unknown_parameter")]


@pytest.mark.parametrize("path", ["/api/v1/models/", "/api/v1/predictions/{}/", "/api/v1/nothing/", "/v2/models/iris"])
def test_shared_caches_keep_no_reply(client: ApiClient, iris: ModelVersion, path: str) -> None:
    assert client.get(path.format(make(iris).pk))["Cache-Control"] == "private, no-cache"


# --- Framing ----------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", [PREDICT, "/models/iris/predictions/"])
def test_body_that_does_not_come_to_its_end_is_400(iris: ModelVersion, path: str) -> None:
    body = Body([{"type": "http.request", "body": b'{"features": [1, 1, 1, 1]}', "more_body": True}, GONE])
    with open_door() as door:
        answer = door.ask("POST", path, body, Content_Type="application/json", Transfer_Encoding="chunked")

    assert answer.status_code == 400
    assert Prediction.objects.count() == 0


def test_transfer_coding_other_than_chunked_is_501(client: ApiClient, iris: ModelVersion) -> None:
    headers = {"Transfer-Encoding": "gzip, chunked"}

    assert problem(client.post(PREDICT, ROW, headers=headers), 501)["code"] == "unsupported_transfer_coding"


def test_compressed_body_is_told_what_is_accepted(client: ApiClient, iris: ModelVersion) -> None:
    rows = client.post(PREDICT, ROW, headers={"Content-Encoding": "br"})
    feedback = client.post(f"/api/v1/predictions/{uuid.uuid4()}/feedback/", {}, headers={"Content-Encoding": "gzip"})

    assert (problem(rows, 415)["code"], rows["Accept-Encoding"]) == ("unsupported_media_type", "gzip, identity")
    assert (problem(feedback, 415)["code"], feedback["Accept-Encoding"]) == ("unsupported_media_type", "identity")


# --- Credentials ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("authorization", ["Basic dXNlcjpwYXNz", "ft_0123456789abcdef", "Bearer", "Bearer ", "Token x"])
def test_credentials_that_are_no_token_are_401_and_never_anonymous(
    client: ApiClient, iris: ModelVersion, authorization: str
) -> None:
    response = client.get("/api/v1/models/", headers={"Authorization": authorization})

    problem(response, 401)
    assert 'error="invalid_token"' in response["WWW-Authenticate"]


def test_changed_password_ends_the_tokens(owner: User, iris: ModelVersion) -> None:
    client = ApiClient(owner)
    assert client.get("/api/v1/predictions/").status_code == 200

    owner.set_password("another-secret-of-owner")
    owner.save()

    problem(client.get("/api/v1/predictions/"), 401)


def test_renewed_hash_of_the_same_password_ends_no_token(owner: User, iris: ModelVersion, settings: Any) -> None:
    client = ApiClient(owner)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]

    assert owner.check_password("secret-of-owner")

    assert owner.password.startswith("pbkdf2")
    assert client.get("/api/v1/predictions/").status_code == 200


# --- Strangers --------------------------------------------------------------------------------------------------------
def test_schema_tells_a_stranger_no_features_unless_predictions_are_public(
    client: ApiClient, owner: User, iris: ModelVersion, settings: Any
) -> None:
    assert "petal length" in client.get("/api/v1/schema/").content.decode()
    settings.PUBLIC_PREDICTIONS = False

    hidden = client.get("/api/v1/schema/")

    assert hidden.status_code == 200
    assert "petal" not in hidden.content.decode()
    assert "petal length" in ApiClient(owner).get("/api/v1/schema/").content.decode()


# --- The schema, for generators of clients ----------------------------------------------------------------------------
def every(value: Any) -> Any:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from every(inner)


def test_schema_is_one_that_generators_understand(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    schema = client.get("/api/v1/schema/").json()

    assert not [found for found in every(schema) if found.get("items") is False]
    # OpenAPI Generator writes patterns between quotation marks, and does not escape those inside.
    assert not [found for found in every(schema) if '"' in str(found.get("pattern"))]
    rows = schema["components"]["schemas"]["Features_iris"]["anyOf"]
    assert [(one["type"], one.get("maxItems")) for one in rows] == [("object", None), ("array", 4)]
    assert rows[1]["items"] == {}
    assert not any("default" in one for one in rows[0]["properties"].values())
    assert schema["servers"] == [{"url": "http://testserver"}]
    assert schema["info"]["license"]["name"] == "MIT"
    assert all(said.get("summary") for path in schema["paths"].values() for said in path.values())


def test_schema_has_the_general_path_that_serves_every_model(
    client: ApiClient, registered: dict[str, RegisteredModel]
) -> None:
    paths = client.get("/api/v1/schema/").json()["paths"]

    assert "post" in paths["/api/v1/models/{name}/predictions/"]
    example = paths[PREDICT]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post(PREDICT, example).status_code == 202


def test_schema_names_the_headers_of_responses(client: ApiClient, iris: ModelVersion) -> None:
    paths = client.get("/api/v1/schema/").json()["paths"]

    accepted = paths["/api/v1/models/{name}/predictions/"]["post"]["responses"]["202"]["headers"]
    read = paths["/api/v1/predictions/{prediction_id}/"]["get"]
    assert accepted.keys() >= {"Location", "Retry-After"}
    assert "ETag" in read["responses"]["200"]["headers"]
    assert "If-None-Match" in {parameter["name"] for parameter in read["parameters"]}


# --- Removing ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("state", [State.QUEUED, State.RUNNING, State.SUCCEEDED])
def test_removed_prediction_is_gone(iris: ModelVersion, owner: User, stranger: User, state: State) -> None:
    row = make(iris, state, owner=owner, caller=f"user:{owner.pk}")
    path = f"/api/v1/predictions/{row.pk}/"

    problem(ApiClient(stranger).delete(path), 404)
    client = ApiClient(owner)
    assert (client.delete(path).status_code, client.delete(path).status_code) == (204, 410)
    assert not Prediction.objects.exists()


def test_prediction_of_another_is_not_removed_by_its_link(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED, caller="visitor:another")

    problem(client.delete(f"/api/v1/predictions/{row.pk}/"), 403)
    assert Prediction.objects.exists()


def test_analyst_sees_the_prediction_of_another_and_cannot_remove_it(
    iris: ModelVersion, owner: User, analyst: User
) -> None:
    path = f"/api/v1/predictions/{make(iris, State.SUCCEEDED, owner=owner, caller=f'user:{owner.pk}').pk}/"

    assert ApiClient(analyst).get(path).status_code == 200
    problem(ApiClient(analyst).delete(path), 403)
    assert Prediction.objects.exists()


def test_token_is_not_kept_with_its_password(owner: User) -> None:
    ApiToken.objects.create(user=owner, name="a program")
    User.objects.get(pk=owner.pk).save()

    assert ApiToken.objects.of(owner).count() == 1


def test_unknown_id_is_404(client: ApiClient, iris: ModelVersion) -> None:
    problem(client.get(f"/api/v1/predictions/{uuid.uuid4()}"), 404)


# --- The rate ---------------------------------------------------------------------------------------------------------
def test_replies_say_what_is_left_of_the_rate(
    client: ApiClient, iris: ModelVersion, settings: Any, clean_redis: object
) -> None:
    settings.SUBMIT_RATE = "2/minute"

    replies = [client.post(PREDICT, ROW) for _ in range(3)]

    assert [reply.status_code for reply in replies] == [202, 202, 429]
    assert [reply["RateLimit-Remaining"] for reply in replies] == ["1", "0", "0"]
    assert {(reply["RateLimit-Limit"], reply["RateLimit-Policy"]) for reply in replies} == {("2", "2;w=60")}
    assert all(0 < int(reply["RateLimit-Reset"]) <= 60 for reply in replies)
    assert "RateLimit-Limit" not in client.get("/api/v1/models/")


# --- Behind a proxy, under a path -------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kept", ["", "/foretell"], ids=["taken off", "left on"])
def test_site_under_a_path_of_a_proxy_has_its_path_in_every_address(
    iris: ModelVersion, owner: User, settings: Any, kept: str
) -> None:
    settings.FORCE_SCRIPT_NAME = "/foretell"
    secret = ApiToken.objects.create(user=owner, name="a program")[1]
    with open_door() as door:
        token = {"Authorization": f"Bearer {secret}"}
        created = door.ask("POST", f"{kept}{PREDICT}", b'{"features": [5, 3, 1, 0.2]}', **JSON, **token)
        for _ in range(2):
            door.ask("POST", f"{kept}{PREDICT}", b'{"features": [5, 3, 1, 0.2]}', **JSON, **token)
        listed = door.ask("GET", f"{kept}/api/v1/predictions/?limit=1", **token)
        page = door.ask("GET", f"{kept}/models/iris/")
        index = door.ask("GET", f"{kept}/api/v1/")

    addresses = [*created.json()["urls"].values(), *index.json()["urls"].values(), listed.json()["next"]]
    assert all("/foretell/" in address and "/foretell/foretell" not in address for address in addresses)
    assert created.headers["location"].split("/foretell")[1].startswith("/api/v1/predictions/")
    assert page.status_code == 200
    assert b'"/foretell/models/iris/predictions/"' in page.content
