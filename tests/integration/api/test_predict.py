"""POST models/<name>/predictions/: every answer and every refusal of the contract."""

import threading
import time
import uuid
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError

from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, State
from tests.integration.api.conftest import Ask, problem
from tests.integration.conftest import IRIS, make, run_worker
from tests.support.api_client import ApiClient
from tests.support.site_client import Client
from tests.support.waiting import wait_until

ROW = {"features": IRIS}
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
MARKS = [("queue", "queued"), ("predict", "predict"), ("total", "total")]
BY_NAME = {"features": dict(zip(NAMES, IRIS, strict=True))}


def errors(response: Any) -> list[tuple[str, str]]:
    return [(error["pointer"], error["code"]) for error in problem(response, 422)["errors"]]


# --- Accepted ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("body", [ROW, BY_NAME], ids=["list", "names"])
def test_row_is_accepted_with_the_body_of_the_contract(ask: Ask, body: Any) -> None:
    response = ask(body)

    kept = Prediction.objects.get()
    base = "http://testserver"
    assert response.status_code == 202
    assert response["Content-Type"] == "application/json"
    assert response["Location"] == f"{base}/api/v1/predictions/{kept.pk}/"
    assert response["Retry-After"] == "1"
    assert "Preference-Applied" not in response
    given = response.json()
    created, deadline = (datetime.fromisoformat(given.pop(name)) for name in ("created_at", "deadline_at"))
    assert (created, deadline) == (kept.created_at, kept.deadline_at)
    assert given == {
        "id": str(kept.pk),
        "model": "iris",
        "version": 1,
        "status": "queued",
        "features": BY_NAME["features"],
        "output": None,
        "advice": [],
        "error": None,
        "feedback": None,
        "source": "api",
        "started_at": None,
        "finished_at": None,
        "timing": {"queued_ms": None, "predict_ms": None, "total_ms": None},
        "retry_after": 1,
        "urls": {
            "self": f"{base}/api/v1/predictions/{kept.pk}/",
            "page": f"{base}/predictions/{kept.pk}/",
            "cancel": f"{base}/api/v1/predictions/{kept.pk}/cancel/",
        },
    }


def test_row_outside_what_training_saw_is_accepted_with_advice(ask: Ask) -> None:
    advice = ask({"features": [50, 3.5, 0, 0.2]}).json()["advice"]

    assert [(a["feature"], a["code"]) for a in advice] == [
        (NAMES[0], "above_training_range"),
        (NAMES[2], "below_training_range"),
    ]


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*;q=0.1", ""])
def test_whatever_is_accepted_json_is_given(ask: Ask, accept: str) -> None:
    response = ask(ROW, Accept=accept)

    assert (response.status_code, response["Content-Type"]) == (202, "application/json")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_content_type_may_be_spelled_as_http_allows(ask: Ask, content_type: str) -> None:
    assert ask(ROW, content_type=content_type).status_code == 202


# --- Waiting ----------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize("prefer", ["wait=20", 'foo, WAIT = "20"', "respond-async, wait=20"])
def test_wait_gives_the_finished_prediction(ask: Ask, iris: ModelVersion, prefer: str) -> None:
    def work() -> None:
        from django.db import connection

        wait_until(Prediction.objects.exists, 20, "the row is there")
        run_worker(iris)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    response = ask(ROW, Prefer=prefer)
    worker.join()

    assert response.status_code == 200
    assert response["Preference-Applied"] == "wait=20"
    assert "Retry-After" not in response
    body = response.json()
    assert (body["status"], body["output"]["label"], body["retry_after"]) == ("succeeded", "setosa", None)
    spent = [(name, body["timing"][f"{long}_ms"]) for name, long in MARKS]
    assert response["Server-Timing"] == ", ".join(f"{name};dur={ms:.3f}" for name, ms in spent)


@pytest.mark.usefixtures("clean_redis")
def test_wait_that_is_over_gives_202(ask: Ask) -> None:
    response = ask(ROW, Prefer="wait=0.05")

    assert response.status_code == 202
    assert response["Retry-After"] == "1"
    assert "Preference-Applied" not in response


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "respond-async", "wait", "nowait=5", "return=minimal"])
def test_preference_without_a_time_is_no_wait(ask: Ask, prefer: str) -> None:
    assert ask(ROW, Prefer=prefer).status_code == 202


def test_wait_is_bounded_by_wait_max(ask: Ask, settings: Any) -> None:
    settings.WAIT_MAX = 0.05
    started = time.monotonic()

    assert ask(ROW, Prefer="wait=600").status_code == 202
    assert time.monotonic() - started < 5


# --- Idempotency ------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_same_key_and_body_give_the_same_prediction(ask: Ask, iris: ModelVersion) -> None:
    first = ask(ROW, **{"Idempotency-Key": "a"})
    second = ask(BY_NAME, **{"Idempotency-Key": "a"})
    run_worker(iris)
    third = ask(ROW, **{"Idempotency-Key": "a"})

    assert [r.status_code for r in (first, second, third)] == [202, 202, 200]
    assert first.json() == second.json()
    assert third.json()["id"] == first.json()["id"]
    assert third["Location"] == first["Location"]
    assert third.json()["status"] == "succeeded"
    assert Prediction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_same_key_with_another_body_is_422(ask: Ask) -> None:
    ask(ROW, **{"Idempotency-Key": "a"})

    body = problem(ask({"features": [1, 1, 1, 1]}, **{"Idempotency-Key": "a"}), 422)

    assert (body["code"], body["detail"]) == (
        "idempotency_key_reused",
        "This Idempotency-Key belongs to another request body.",
    )
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize("key", ["", "k" * 201, "a\tb", "\xe9"])
def test_key_that_means_nothing_is_400(ask: Ask, key: str) -> None:
    assert problem(ask(ROW, **{"Idempotency-Key": key}), 400)["code"] == "bad_header"
    assert Prediction.objects.count() == 0


# --- Cancel-After -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h", 3600), ("1500ms", 1.5), ("7", 7), ("24h", 86400)]
)
def test_cancel_after_sets_the_deadline(ask: Ask, text: str, seconds: float) -> None:
    body = ask(ROW, **{"Cancel-After": text}).json()

    assert (
        datetime.fromisoformat(body["deadline_at"]) - datetime.fromisoformat(body["created_at"])
    ).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5s", "5d", "soon", "25h", "1.5h", "999999999h", "1e3s"])
def test_cancel_after_that_means_nothing_is_400(ask: Ask, text: str) -> None:
    body = problem(ask(ROW, **{"Cancel-After": text}), 400)

    assert (body["code"], body["detail"]) == (
        "bad_header",
        "Cancel-After must be a duration such as 30s, 5m or 1h, at most 24h.",
    )


# --- Not JSON ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        "{",
        " ",
        "features",
        '{"features": [NaN, 1, 1, 1]}',
        '{"features": [Infinity, 1, 1, 1]}',
        '{"features": [-Infinity, 1, 1, 1]}',
        '{"features": [1,1,1,1], "features": [2,2,2,2]}',
        '{"features": {"a": 1, "a": 2}}',
        b'{"features": "\xff"}',
        '{"features": [1,1,1,1]}'.encode("utf-16"),
        '{"features": [1,1,1,1]}'.encode("utf-32"),
        '{"features": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"features": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"features": [' + "1" * 5000 + ", 1, 1, 1]}",
        "{'features': 1}",
        '{"features": [1,1,1,1]} x',
        '{"features": ["a\nb"]}',
        "\0",
    ],
    ids=lambda body: repr(body)[:40],
)
def test_body_that_is_not_json_is_400(ask: Ask, body: str | bytes) -> None:
    found = problem(ask(body), 400)

    assert (found["code"], found["title"]) == ("not_json", "Bad Request")
    assert found["detail"].startswith("The body ")
    assert len(found["detail"]) < 300
    assert Prediction.objects.count() == 0


def test_body_with_a_hundred_thousand_names_is_answered_at_once(ask: Ask) -> None:
    """The search for repeated names must not take quadratic time."""
    names = ", ".join(f'"{number}": 0' for number in range(70_000))
    started = time.process_time()

    found = problem(ask(f'{{"features": {{{names}, "69999": 1}}}}'), 400)

    assert found["detail"] == "The body names '69999' twice in one object."
    assert time.process_time() - started < 5


# --- Bad input --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ([], "", "wrong_type"),
        ("null", "", "wrong_type"),
        ('"features"', "", "wrong_type"),
        ({}, "/features", "missing"),
        ({"features": None}, "/features", "wrong_type"),
        ({"features": "abcd"}, "/features", "wrong_type"),
        ({"features": 5}, "/features", "wrong_type"),
        ({"features": [1, 2, 3]}, "/features", "wrong_length"),
        ({"features": []}, "/features", "wrong_length"),
        ({"features": {**BY_NAME["features"], "x": 1}}, "/features/x", "unknown_feature"),
        ({"features": {**BY_NAME["features"], "a/b~c": 1}}, "/features/a~1b~0c", "unknown_feature"),
        ({"features": {**BY_NAME["features"], "": 1}}, "/features/", "unknown_feature"),
        ({"features": ["5", 1, 1, 1]}, "/features/0", "wrong_type"),
        ({"features": [True, 1, 1, 1]}, "/features/0", "wrong_type"),
        ({"features": [None, 1, 1, 1]}, "/features/0", "missing"),
        ({"features": [[1], 1, 1, 1]}, "/features/0", "wrong_type"),
        ({"features": [-1, 1, 1, 1]}, "/features/0", "below_minimum"),
        ({"features": [51, 1, 1, 1]}, "/features/0", "above_maximum"),
        ('{"features": [1e999, 1, 1, 1]}', "/features/0", "not_finite"),
        (f'{{"features": [{"9" * 400}, 1, 1, 1]}}', "/features/0", "not_finite"),
        ({"features": IRIS, "more": 1}, "/more", "unknown_member"),
        ({"features": IRIS, "a/b~c": 1}, "/a~1b~0c", "unknown_member"),
        ({"features": {**BY_NAME["features"], NAMES[0]: "5"}}, f"/features/{NAMES[0]}", "wrong_type"),
        ({"features": IRIS, "rows": [IRIS]}, "/rows", "unknown_member"),
        ({"features": IRIS, "version": 0}, "/version", "wrong_type"),
        ({"features": IRIS, "version": True}, "/version", "wrong_type"),
        ({"rows": []}, "/rows", "wrong_type"),
        ({"rows": {}}, "/rows", "wrong_type"),
        ({"rows": [IRIS, [1, 2]]}, "/rows/1", "wrong_length"),
        ({"rows": [IRIS, [1, 2, 3, "x"]]}, "/rows/1/3", "wrong_type"),
        ({"rows": [{**BY_NAME["features"], NAMES[0]: -1}]}, f"/rows/0/{NAMES[0]}", "below_minimum"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_input_is_422_and_names_the_place(ask: Ask, body: Any, pointer: str, code: str) -> None:
    if body in ([], {}):
        body = "[]" if body == [] else "{}"
    assert errors(ask(body)) == [(pointer, code)]
    assert Prediction.objects.count() == 0


def test_errors_beside_the_row_are_named_with_those_of_the_row(ask: Ask) -> None:
    body = {"features": ["x", 1, 1], "colour": 1, "webhook": {"url": 5}}
    assert errors(ask(body)) == [
        ("/colour", "unknown_member"),
        ("/webhook/url", "wrong_type"),
        ("/features", "wrong_length"),
    ]


def test_all_errors_of_all_fields_are_named_at_once(ask: Ask, kinds: RegisteredModel) -> None:
    given = {"long side": -1, "count": 1.5, "colour": "blue", "note": "\0", "a/b~c": 2, "x~y/z": 0}

    body = problem(ask({"features": given}, "kinds"), 422)

    assert (body["code"], body["title"]) == ("invalid_input", "Unprocessable Content")
    assert body["errors"] == [
        {"pointer": "/features/long side", "code": "below_minimum", "message": "Must be at least 0 (mm)."},
        {"pointer": "/features/count", "code": "wrong_type", "message": "Must be a whole number."},
        {"pointer": "/features/colour", "code": "unknown_choice", "message": "Must be one of: r (Red <i>), g (Green)."},
        {"pointer": "/features/ripe", "code": "missing", "message": "Please fill this in."},
        {
            "pointer": "/features/note",
            "code": "wrong_type",
            "message": "Must be plain text; it contains a character that cannot be stored.",
        },
        {"pointer": "/features/a~1b~0c", "code": "above_maximum", "message": "Must be at most 1."},
        {
            "pointer": "/features/x~0y~1z",
            "code": "unknown_feature",
            "message": "This model has no feature of this name. Leave it out, or correct its spelling.",
        },
    ]


@pytest.mark.parametrize("note", ["\\ud800", "\\u0000", "a\\udfffb"])
def test_text_that_cannot_be_stored_is_422(ask: Ask, kinds: RegisteredModel, note: str) -> None:
    body = f'{{"features": {{"long side": 1, "count": 1, "colour": "r", "ripe": true, "note": "{note}"}}}}'

    assert errors(ask(body, "kinds")) == [("/features/note", "wrong_type")]


@pytest.mark.parametrize("member", ['"\\ud800": 1', '"features": {"\\ud800": 1}'])
def test_name_that_cannot_be_written_is_422(ask: Ask, member: str) -> None:
    response = ask("{" + member + "}")

    assert response.status_code == 422
    response.json()


def test_names_by_the_thousand_get_an_answer_that_can_be_read(ask: Ask) -> None:
    response = ask({"features": {"n" * 1000 + str(number): 0 for number in range(200)}})

    assert response.status_code == 422
    assert len(response.content) < 10_000


@pytest.mark.parametrize("member", ["m" * 100_000])
def test_long_name_of_a_member_is_not_repeated_in_full(ask: Ask, member: str) -> None:
    response = ask({"features": IRIS, member: 1})

    [(pointer, code)] = errors(response)
    assert (pointer[:3], code) == ("/mm", "unknown_member")
    assert len(response.content) < 1000


# --- Several rows -----------------------------------------------------------------------------------------------------
def test_rows_are_accepted_in_order_and_answered_as_a_list(ask: Ask) -> None:
    response = ask({"rows": [IRIS, BY_NAME["features"], [6.7, 3.1, 5.6, 2.4]]})

    results = response.json()["results"]
    assert (response.status_code, response["Retry-After"]) == (202, "1")
    assert [list(one["features"].values()) for one in results] == [IRIS, IRIS, [6.7, 3.1, 5.6, 2.4]]
    assert {uuid.UUID(one["id"]) for one in results} == set(Prediction.objects.values_list("pk", flat=True))


def test_one_bad_row_refuses_all_and_every_problem_is_named(ask: Ask) -> None:
    response = ask({"rows": [IRIS, [-1, 1, 1, "x"], {NAMES[0]: 5}]})

    found = errors(response)
    assert found[:2] == [("/rows/1/0", "below_minimum"), ("/rows/1/3", "wrong_type")]
    assert found[2:] == [(f"/rows/2/{name}", "missing") for name in NAMES[1:]]
    assert Prediction.objects.count() == 0


def test_more_than_a_thousand_rows_are_refused_with_the_limit(ask: Ask) -> None:
    body = problem(ask({"rows": [IRIS] * 1001}), 422)

    assert (body["code"], "1000 rows" in body["detail"]) == ("too_many_rows", True)
    assert ask({"rows": [IRIS] * 1000}).status_code == 202


@pytest.mark.django_db(transaction=True)
def test_wait_for_rows_is_over_when_all_have_ended(ask: Ask, iris: ModelVersion, clean_redis: object) -> None:
    def work() -> None:
        wait_until(lambda: Prediction.objects.count() == 3, 10, "the rows are accepted")
        run_worker(iris)

    worker = threading.Thread(target=work)
    worker.start()
    response = ask({"rows": [IRIS] * 3}, Prefer="wait=20")
    worker.join()

    assert (response.status_code, response["Preference-Applied"]) == (200, "wait=20")
    assert [one["output"]["label"] for one in response.json()["results"]] == ["setosa"] * 3


@pytest.mark.django_db(transaction=True)
def test_same_key_and_rows_give_the_same_predictions(ask: Ask) -> None:
    first, second = (ask({"rows": [IRIS, IRIS]}, **{"Idempotency-Key": "a"}) for _ in range(2))

    assert [one["id"] for one in first.json()["results"]] == [one["id"] for one in second.json()["results"]]
    assert Prediction.objects.count() == 2
    for other in ({"rows": [IRIS]}, {"rows": [IRIS] * 3}, ROW):
        assert problem(ask(other, **{"Idempotency-Key": "a"}), 422)["code"] == "idempotency_key_reused"


# --- A version --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [1, "1", "champion", "latest"])
def test_version_is_asked_by_number_or_alias(ask: Ask, version: int | str) -> None:
    assert ask({**ROW, "version": version}).json()["version"] == 1


@pytest.mark.parametrize("name", ["version", "webhook"])
def test_null_beside_the_row_is_accepted_and_the_schema_says_so(ask: Ask, client: Client, name: str) -> None:
    """Programs whose fields are optional often write null where nothing was given."""
    assert ask({**ROW, name: None}).status_code == 202
    schemas = client.get("/api/v1/schema/").json()["components"]["schemas"]
    for body in ("OneRow", "SeveralRows"):
        said = schemas[body]["properties"][name]
        assert {"type": "null"} in [*said.get("oneOf", []), *said.get("anyOf", [])]


@pytest.mark.parametrize("version", [7, "7", "newest", "previous", "", 10**30])
def test_version_that_is_not_there_is_404(ask: Ask, version: int | str) -> None:
    assert "has no version" in problem(ask({**ROW, "version": version}), 404)["detail"]


# --- A repeated request -----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_key_used_before_is_answered_though_no_version_serves(ask: Ask, iris: ModelVersion) -> None:
    first = ask(ROW, **{"Idempotency-Key": "a"}).json()["id"]
    ModelVersion.objects.mark_unavailable(iris.pk, "broken")
    registry.clear_cache()
    assert ask(ROW, **{"Idempotency-Key": "a"}).json()["id"] == first
    assert problem(ask(ROW, **{"Idempotency-Key": "b"}), 503)["code"] == "model_unavailable"

    RegisteredModel.objects.update(champion=None)
    registry.clear_cache()
    assert ask(ROW, **{"Idempotency-Key": "a"}).json()["id"] == first
    assert problem(ask(ROW, **{"Idempotency-Key": "b"}), 503)["code"] == "model_unavailable"


def test_short_key_without_a_token_is_refused_where_an_address_is_shared(ask: Ask, owner: User) -> None:
    far = ApiClient(address="192.0.2.1")
    path = "/api/v1/models/iris/predictions/"

    refused = far.post(path, ROW, headers={"Idempotency-Key": "order-17"})
    assert "must be random" in problem(refused, 400)["detail"]
    assert far.post(path, ROW, headers={"Idempotency-Key": uuid.uuid4().hex}).status_code == 202
    known = ApiClient(owner, address="192.0.2.1")
    assert known.post(path, ROW, headers={"Idempotency-Key": "order-17"}).status_code == 202


# --- Refused for other reasons ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content_type", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/json"]
)
def test_other_content_type_is_415(ask: Ask, content_type: str) -> None:
    response = ask(ROW, content_type=content_type)

    assert problem(response, 415)["code"] == "unsupported_media_type"
    assert response["Accept"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_empty_body_is_400(ask: Ask, content_type: str) -> None:
    assert problem(ask("", content_type=content_type), 400)["detail"] == "The body is empty; send a JSON object."


@pytest.mark.parametrize("size", [1024 * 1024 + 1, 10 * 1024 * 1024])
def test_body_that_is_too_large_is_413(ask: Ask, size: int) -> None:
    body = '{"features": [1, 1, 1, 1]}'

    assert ask(body.ljust(1024 * 1024)).status_code == 202
    refused = problem(ask(body.ljust(size)), 413)
    assert (refused["code"], refused["title"]) == ("too_large", "Content Too Large")


@pytest.mark.parametrize("name", ["nothing", "IRIS", "-", "iris2"])
def test_model_that_is_not_there_is_404(ask: Ask, name: str) -> None:
    assert problem(ask(ROW, name), 404)["code"] == "not_found"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_other_method_is_405(client: ApiClient, ask: Ask, method: str) -> None:
    response = getattr(client, method)("/api/v1/models/iris/predictions/")

    assert problem(response, 405)["code"] == "method_not_allowed"
    assert set(response["Allow"].split(", ")) == {"POST", "OPTIONS"}


def test_caller_who_asks_too_fast_is_429(ask: Ask, settings: Any, clean_redis: object) -> None:
    settings.SUBMIT_RATE = "1/minute"
    ask(ROW)

    response = ask(ROW)

    assert problem(response, 429)["code"] == "too_many"
    assert 55 <= int(response["Retry-After"]) <= 60


def test_full_queue_is_503(ask: Ask, iris: ModelVersion, settings: Any) -> None:
    settings.MAX_QUEUED = 1
    make(iris)

    response = ask(ROW)

    assert problem(response, 503)["code"] == "queue_full"
    assert response["Retry-After"] == "300"


def test_model_without_a_version_that_serves_is_503(ask: Ask, iris: ModelVersion) -> None:
    ModelVersion.objects.mark_unavailable(iris.pk, "a path: /home/someone")
    registry.clear_cache()

    response = ask(ROW)

    assert problem(response, 503)["code"] == "model_unavailable"
    assert response["Retry-After"] == "5"
    assert b"someone" not in response.content


def test_commit_that_fails_is_503_and_keeps_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("secret: /var/db is locked")

    monkeypatch.setattr(Prediction.objects, "accept", away)

    response = ask(ROW)

    assert problem(response, 503)["code"] == "database_away"
    assert response["Retry-After"] == "5"
    assert b"secret" not in response.content
    assert Prediction.objects.count() == 0


def test_database_that_goes_away_during_the_wait_makes_no_accepted_row_an_error(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(Prediction.objects, "fetch_statuses", away)

    response = ask(ROW, Prefer="wait=0.1")

    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert Prediction.objects.count() == 1


def test_caller_without_sign_in_where_predictions_are_not_public_is_401(ask: Ask, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = False

    response = ask(ROW)

    assert problem(response, 401)["code"] == "not_authenticated"
    assert response["WWW-Authenticate"] == 'Bearer realm="foretell"'


# --- HEAD and OPTIONS -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["models/", "models/iris/", "predictions/", "predictions/{}/", "schema/"])
def test_head_is_get_without_a_body(client: ApiClient, iris: ModelVersion, address: str) -> None:
    address = f"/api/v1/{address.format(make(iris, State.SUCCEEDED).pk)}"

    got, head = client.get(address), client.head(address)

    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    assert head["Content-Type"] == got["Content-Type"]


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("models/", "GET, HEAD, OPTIONS"), ("models/iris/predictions/", "POST, OPTIONS")],
)
def test_options_says_what_is_allowed(client: ApiClient, iris: ModelVersion, address: str, allowed: str) -> None:
    response = client.options(f"/api/v1/{address}")

    assert (response.status_code, response.content) == (204, b"")
    assert sorted(response["Allow"].split(", ")) == sorted(allowed.split(", "))


@pytest.mark.parametrize(
    "address",
    ["nothing/", "predictions/7/", f"predictions/{uuid.uuid4()}/x/", "models/a b/", "models/a.b/predictions/"],
)
def test_address_that_is_not_there_is_404_as_json(client: ApiClient, db: None, address: str) -> None:
    assert problem(client.get(f"/api/v1/{address}"), 404)["code"] == "not_found"
