"""Reading, canceling and judging predictions through the API; lists; models."""

import base64
import json
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import Feedback, ModelVersion, Prediction, RegisteredModel, State
from predictions.models.states import TERMINAL
from predictions.use_cases.callers import of_address
from tests.integration.api.conftest import problem
from tests.integration.conftest import SETOSA, make
from tests.support.api_client import ApiClient

# The caller of requests without a token.
MINE = of_address("127.0.0.1").key
UNFINISHED = sorted(set(State) - TERMINAL)


def address(row: Prediction, end: str = "") -> str:
    return f"/api/v1/predictions/{row.pk}/{end}"


# --- One --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("state", "error"),
    [
        (State.QUEUED, None),
        (State.RUNNING, None),
        (State.SUCCEEDED, None),
        (State.FAILED, ("model_error", False)),
        (State.CANCELED, None),
        (State.EXPIRED, ("timeout", True)),
    ],
)
def test_prediction_in_any_state_is_200(client: ApiClient, iris: ModelVersion, state: State, error: Any) -> None:
    response = client.get(address(make(iris, state)))

    body = response.json()
    assert (response.status_code, body["status"]) == (200, state)
    assert (body["error"] and (body["error"]["code"], body["error"]["retryable"])) == error
    assert body["output"] == (SETOSA if state == State.SUCCEEDED else None)
    assert body["retry_after"] == (None if state in TERMINAL else 1)
    assert ("Server-Timing" in response) == (state in TERMINAL)


def test_timing_is_in_milliseconds(client: ApiClient, iris: ModelVersion) -> None:
    now = timezone.now()
    row = make(
        iris,
        State.SUCCEEDED,
        created_at=now,
        started_at=now + timedelta(milliseconds=20),
        finished_at=now + timedelta(milliseconds=50),
    )

    response = client.get(address(row))

    assert response.json()["timing"] == {"queued_ms": 20.0, "predict_ms": 2.5, "total_ms": 50.0}
    assert response["Server-Timing"] == "queue;dur=20.000, predict;dur=2.500, total;dur=50.000"


def test_prediction_that_never_ran_has_no_time_in_the_queue(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris)
    Prediction.objects.filter(pk=row.pk).cancel()

    assert client.get(address(row))["Server-Timing"].startswith("total;dur=")


@pytest.mark.parametrize("known", ["{}", "W/{}", "*", '"x", {}', 'W/"x",W/{}', '{} , "y"'])
def test_prediction_that_has_not_changed_is_304(client: ApiClient, iris: ModelVersion, known: str) -> None:
    row = make(iris, State.SUCCEEDED)
    etag = client.get(address(row))["ETag"]

    response = client.get(address(row), headers={"If-None-Match": known.format(etag)})

    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)


@pytest.mark.parametrize("known", ["", '"x"', "queued-0", '"queued-00"', '"aqueued-0"'])
def test_prediction_by_another_etag_is_200(client: ApiClient, iris: ModelVersion, known: str) -> None:
    row = make(iris)

    assert client.get(address(row), headers={"If-None-Match": known}).status_code == 200


def test_etag_changes_with_each_state(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris)
    queued = client.get(address(row))["ETag"]
    Prediction.objects.claim("interactive", 1)
    running = client.get(address(row))["ETag"]
    Prediction.objects.filter(pk=row.pk).cancel()
    canceled = client.get(address(row))["ETag"]

    assert len({queued, running, canceled}) == 3


# --- Whose ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("end", "method"), [("", "get"), ("cancel/", "post"), ("feedback/", "post")])
def test_prediction_of_another_user_is_404(
    client: ApiClient, iris: ModelVersion, owner: User, stranger: User, end: str, method: str
) -> None:
    row = make(iris, owner=owner)

    for visitor in (client, ApiClient(stranger)):
        assert problem(getattr(visitor, method)(address(row, end)), 404)["code"] == "not_found"
    row.refresh_from_db()
    assert row.state == State.QUEUED


def test_prediction_is_seen_by_its_owner_and_by_analysts(iris: ModelVersion, owner: User, analyst: User) -> None:
    row = make(iris, owner=owner)

    assert [ApiClient(user).get(address(row)).status_code for user in (owner, analyst)] == [200, 200]


def test_prediction_of_nobody_is_seen_by_whoever_has_its_id_only_in_public(
    client: ApiClient, iris: ModelVersion, stranger: User, analyst: User, settings: Any
) -> None:
    row = make(iris)
    assert [c.get(address(row)).status_code for c in (client, ApiClient(stranger))] == [200, 200]

    settings.PUBLIC_PREDICTIONS = False

    visitors = client, ApiClient(stranger), ApiClient(analyst)
    assert [c.get(address(row)).status_code for c in visitors] == [401, 404, 200]


# --- Cancel -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("state", UNFINISHED)
def test_cancel_ends_an_unfinished_prediction(client: ApiClient, iris: ModelVersion, state: State) -> None:
    row = make(iris, state, caller=MINE)

    response = client.post(address(row, "cancel/"))

    assert (response.status_code, response.json()["status"]) == (200, "canceled")
    row.refresh_from_db()
    assert row.state == State.CANCELED


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_cancel_of_an_ended_prediction_is_409(client: ApiClient, iris: ModelVersion, state: State) -> None:
    row = make(iris, state, caller=MINE)

    body = problem(client.post(address(row, "cancel/")), 409)

    assert (body["code"], body["title"]) == ("not_cancelable", "Conflict")
    row.refresh_from_db()
    assert row.state == state


def test_cancel_by_get_is_405(client: ApiClient, iris: ModelVersion) -> None:
    assert problem(client.get(address(make(iris), "cancel/")), 405)["code"] == "method_not_allowed"


def test_cancel_by_a_link_is_403(client: ApiClient, iris: ModelVersion) -> None:
    """A caller who knows the id of another caller's prediction may read it, but not cancel it."""
    row = make(iris, caller="visitor:another")

    assert problem(client.post(address(row, "cancel/")), 403)["code"] == "permission_denied"
    row.refresh_from_db()
    assert row.state == State.QUEUED


def test_session_is_not_read(iris: ModelVersion, owner: User) -> None:
    row = make(iris, owner=owner)
    browser = Client()
    browser.force_login(owner)
    cookie = f"sessionid={browser.cookies['sessionid'].value}"

    assert problem(ApiClient(Cookie=cookie).post(address(row, "cancel/")), 404)["code"] == "not_found"


# --- Feedback ---------------------------------------------------------------------------------------------------------
def say(client: ApiClient, row: Prediction, body: Any) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return client.post(address(row, "feedback/"), text, content_type="application/json")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"was_right": True}, {"was_right": True}),
        ({"actual": "virginica"}, {"actual": "virginica"}),
        ({"actual": 0}, {"actual": "setosa"}),
        ({"comment": "hm", "actual": None}, {"comment": "hm"}),
    ],
)
def test_feedback_is_kept_and_replaced_whole(client: ApiClient, iris: ModelVersion, body: Any, said: Any) -> None:
    row = make(iris, State.SUCCEEDED, caller=MINE)
    nothing = {"was_right": None, "actual": None, "comment": ""}

    first = say(client, row, body)
    assert client.get(address(row)).json()["feedback"] == {**nothing, **said}
    second = client.put(address(row, "feedback/"), {"was_right": False}, content_type="application/json")

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == {"prediction": str(row.pk), **nothing, **said}
    assert second.json() == {"prediction": str(row.pk), **nothing, "was_right": False}
    assert client.get(address(row, "feedback/")).json() == second.json()
    assert client.get(address(row)).json()["feedback"] == {**nothing, "was_right": False}
    assert Feedback.objects.get().comment == ""


def test_feedback_that_was_not_given_is_404(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED, caller=MINE)

    assert client.get(address(row)).json()["feedback"] is None
    problem(client.get(address(row, "feedback/")), 404)


def test_feedback_changes_the_etag(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED, caller=MINE)
    before = client.get(address(row))["ETag"]
    say(client, row, {"was_right": True})

    assert client.get(address(row), headers={"If-None-Match": before}).status_code == 200


def test_feedback_of_a_regression_is_a_number(client: ApiClient, kinds: RegisteredModel) -> None:
    assert kinds.champion
    values = [40.5, 2, "g", True, None, None]
    output = {"kind": "regression", "value": 1.0, "unit": None, "interval": None, "coverage": None}
    row = make(kinds.champion, State.SUCCEEDED, caller=MINE, values=values, output=output)

    assert say(client, row, {"actual": 3}).json()["actual"] == 3.0
    for wrong in ("3", True):
        problem(say(client, row, {"actual": wrong}), 422)


def test_feedback_with_an_empty_body_is_400(client: ApiClient, iris: ModelVersion) -> None:
    problem(say(client, make(iris, State.SUCCEEDED, caller=MINE), ""), 400)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ([], ""),
        ({"was_right": None, "comment": ""}, ""),
        ({"was_right": "perhaps"}, "/was_right"),
        ({"was_right": "true"}, "/was_right"),
        ({"was_right": 1}, "/was_right"),
        ({"comment": 5}, "/comment"),
        ({"was_right": True, "note": 1}, "/note"),
        ({"actual": "rose"}, "/actual"),
        ({"actual": 3.5}, "/actual"),
        ({"actual": True}, "/actual"),
        ({"actual": [1]}, "/actual"),
        ({"actual": {"a": 1}}, "/actual"),
        ('{"actual": 1e999}', "/actual"),
        ({"actual": "x" * 201}, "/actual"),
        ('{"actual": "\\u0000"}', "/actual"),
        ('{"actual": "\\ud800"}', "/actual"),
        ({"comment": "x" * 2001}, "/comment"),
        ('{"comment": "\\u0000"}', "/comment"),
        ('{"comment": "\\ud800"}', "/comment"),
        ({"comment": ["x"]}, "/comment"),
        ({"was_right": True, "actual": "virginica"}, "/was_right"),
        ({"was_right": True, "actual": 2}, "/was_right"),
        ({"was_right": False, "actual": "setosa"}, "/was_right"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_feedback_that_means_nothing_is_422(client: ApiClient, iris: ModelVersion, body: Any, pointer: str) -> None:
    response = say(client, make(iris, State.SUCCEEDED, caller=MINE), body)

    assert [error["pointer"] for error in problem(response, 422)["errors"]] == [pointer]
    assert not Feedback.objects.exists()


def test_feedback_that_contradicts_itself_names_the_remedy(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED, caller=MINE)
    refused = problem(say(client, row, {"was_right": True, "actual": "virginica"}), 422)["errors"]

    assert [error["message"] for error in refused] == [
        "Contradicts actual: the answer was setosa. Leave was_right out, or correct one of the two."
    ]
    assert say(client, row, {"was_right": False, "actual": "virginica"}).status_code == 201


@pytest.mark.parametrize("depth", range(780, 1000, 3))
def test_feedback_nested_to_the_edge_is_refused(client: ApiClient, iris: ModelVersion, depth: int) -> None:
    row = make(iris, State.SUCCEEDED, caller=MINE)

    assert say(client, row, '{"actual": ' + "[" * depth + "]" * depth + "}").status_code in (400, 422)


@pytest.mark.parametrize("state", sorted(set(State) - {State.SUCCEEDED}))
def test_feedback_on_what_has_no_answer_is_409(client: ApiClient, iris: ModelVersion, state: State) -> None:
    response = say(client, make(iris, state, caller=MINE), {"was_right": True})

    assert problem(response, 409)["code"] == "no_answer"


def test_feedback_of_two_people_is_kept_for_each(iris: ModelVersion, owner: User, analyst: User) -> None:
    row = make(iris, State.SUCCEEDED, owner=owner)

    statuses = [say(ApiClient(user), row, {"was_right": user == owner}).status_code for user in (owner, analyst)]

    assert statuses == [201, 201]
    assert sorted(Feedback.objects.values_list("was_right", flat=True)) == [False, True]


# --- Lists ------------------------------------------------------------------------------------------------------------
def listed(client: ApiClient, **query: Any) -> list[str]:
    response = client.get(f"/api/v1/predictions/?{urlencode(query)}")
    assert response.status_code == 200
    return [item["id"] for item in response.json()["results"]]


@pytest.fixture
def mine(iris: ModelVersion, registered: dict[str, RegisteredModel], owner: User, stranger: User) -> list[Prediction]:
    """The owner's predictions, newest first. Predictions of other callers are in the database too."""
    key = {"owner": owner, "caller": f"user:{owner.pk}"}
    wine = registered["wine"].champion
    assert wine
    values = [wine.manifest["profile"]["features"][name]["mean"] for name in wine.signature.names]
    rows = [
        make(iris, State.SUCCEEDED, age=1, **key),
        make(wine, age=2, values=values, **key),
        make(iris, State.FAILED, age=3, **key),
    ]
    make(iris, owner=stranger, caller=f"user:{stranger.pk}")
    make(iris)
    return rows


def test_list_holds_what_is_mine_newest_first(owner: User, mine: list[Prediction]) -> None:
    assert listed(ApiClient(owner)) == [str(row.pk) for row in mine]


def test_list_is_filtered(owner: User, mine: list[Prediction]) -> None:
    client, ids = ApiClient(owner), [str(row.pk) for row in mine]

    assert listed(client, model="iris") == [ids[0], ids[2]]
    assert listed(client, model="nothing") == []
    assert listed(client, model="\0") == []
    assert listed(client, status="failed") == [ids[2]]
    assert listed(client, model="iris", status="succeeded") == [ids[0]]
    assert listed(client, status="succeeded,failed") == [ids[0], ids[2]]
    assert listed(client, model="iris", version=1) == [ids[0], ids[2]]
    assert listed(client, version=2) == []
    assert listed(client, source="form,canary") == ids
    assert listed(client, source="api") == []
    middle = mine[1].created_at.isoformat()
    assert listed(client, created_after=middle) == ids[:1]
    assert listed(client, created_before=middle) == ids[2:]


def test_list_comes_in_pages_that_stay(owner: User, mine: list[Prediction], iris: ModelVersion) -> None:
    client, ids = ApiClient(owner), [str(row.pk) for row in mine]
    first = client.get("/api/v1/predictions/?limit=2").json()
    make(iris, owner=owner, caller=f"user:{owner.pk}")
    second = client.get(first["next"]).json()

    assert [[item["id"] for item in page["results"]] for page in (first, second)] == [ids[:2], ids[2:]]
    assert (first["previous"], second["next"]) == (None, None)
    back = client.get(second["previous"]).json()
    assert [item["id"] for item in back["results"]] == ids[:2]


def test_list_of_many_rows_with_one_time_has_each_row_once(owner: User, iris: ModelVersion) -> None:
    time = timezone.now()
    row = make(iris, State.CANCELED, owner=owner, caller=f"user:{owner.pk}", created_at=time)
    copies = [Prediction(**{**fields_of(row), "id": uuid.uuid4()}) for _ in range(1204)]
    Prediction.objects.bulk_create(copies)

    pages, address = [], "/api/v1/predictions/?limit=200"
    while address and len(pages) < 10:
        body = ApiClient(owner).get(address).json()
        pages.append([item["id"] for item in body["results"]])
        address, before = body["next"], body["previous"]

    ids = [one for page in pages for one in page]
    assert ids == sorted((str(one.pk) for one in [row, *copies]), reverse=True)
    back = ApiClient(owner).get(before).json()
    assert [item["id"] for item in back["results"]] == pages[-2]


def fields_of(row: Prediction) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in Prediction._meta.concrete_fields}


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=done", "/status"),
        ("created_after=yesterday", "/created_after"),
        ("created_before=2026-13-01", "/created_before"),
        ("created_after=%00", "/created_after"),
        ("created_after=", "/created_after"),
        ("status=", "/status"),
        ("status=failed,done", "/status"),
        ("source=mail", "/source"),
        ("version=x", "/version"),
        ("stauts=failed", "/stauts"),
        ("limit=0", "/limit"),
        ("limit=201", "/limit"),
        ("limit=x", "/limit"),
        ("limit=%D9%A1", "/limit"),
    ],
)
def test_list_with_a_filter_that_means_nothing_is_422(client: ApiClient, db: None, query: str, pointer: str) -> None:
    body = problem(client.get(f"/api/v1/predictions/?{query}"), 422)

    assert [error["pointer"] for error in body["errors"]] == [pointer]


@pytest.mark.parametrize(
    "position",
    [
        "p=garbage",
        "p=%00",
        "o=x",
        "o=-1&p=",
        "o=50",
        "p=2026-01-31+12%3A00%3A00%2B00%3A00",
        "after never 0198c0de-0000-7000-8000-000000000000",
        "after 2026-01-31T12:00:00Z x",
        "beside 2026-01-31T12:00:00Z 0198c0de-0000-7000-8000-000000000000",
    ],
)
def test_list_from_a_foreign_cursor_is_422(client: ApiClient, db: None, position: str) -> None:
    cursor = quote(base64.b64encode(position.encode()).decode())

    body = problem(client.get(f"/api/v1/predictions/?cursor={cursor}"), 422)

    [error] = body["errors"]
    assert error["pointer"] == "/cursor"
    assert error["message"] == "The cursor is not one of ours: begin again without it."


def test_list_takes_times_at_the_ends_of_the_calendar(owner: User, mine: list[Prediction]) -> None:
    ends = {"created_after": "0001-01-01T00:00:00+23:59", "created_before": "9999-12-31T23:59:59-23:59"}

    assert len(listed(ApiClient(owner), **ends)) == 3


@pytest.mark.parametrize("cursor", ["x", "%ff", "/w==", "%25%25%25", "bz01%0A"])
def test_list_from_a_cursor_that_is_no_base64_is_422(client: ApiClient, db: None, cursor: str) -> None:
    problem(client.get(f"/api/v1/predictions/?cursor={cursor}"), 422)


def test_address_has_a_history_only_in_development(iris: ModelVersion, settings: Any) -> None:
    far, near = ApiClient(address="10.1.1.1"), ApiClient()
    for client in (far, near):
        response = client.post(
            "/api/v1/models/iris/predictions/", '{"features": [1, 1, 1, 1]}', content_type="application/json"
        )
        assert response.status_code == 202

    assert (len(listed(far)), len(listed(near))) == (0, 1)
    settings.DEVELOPMENT = False
    assert listed(near) == []


# --- Models -----------------------------------------------------------------------------------------------------------
def test_models_lists_those_whose_folders_are_there(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    RegisteredModel.objects.filter(name="wine").update(is_present=False)

    results = client.get("/api/v1/models/").json()["results"]

    assert [model["name"] for model in results] == ["breast-cancer", "diabetes", "iris"]
    assert results[2] == {
        "name": "iris",
        "title": "Iris species",
        "task": "classification",
        "version": 1,
        "urls": {
            "self": "http://testserver/api/v1/models/iris/",
            "predictions": "http://testserver/api/v1/models/iris/predictions/",
            "page": "http://testserver/models/iris/",
        },
    }


def test_model_says_what_it_takes_in_signature_order(client: ApiClient, kinds: RegisteredModel) -> None:
    body = client.get("/api/v1/models/kinds/").json()

    assert list(body["signature"]["properties"]) == ["long side", "count", "colour", "ripe", "note", "a/b~c"]
    assert body["signature"]["required"] == ["long side", "count", "colour", "ripe"]
    assert [(v["version"], v["champion"], v["available"]) for v in body["versions"]] == [(1, True, True)]
    assert body["metrics"] == body["versions"][0]["metrics"]
    accepted = client.post(
        "/api/v1/models/kinds/predictions/", json.dumps(body["example"]), content_type="application/json"
    )
    assert accepted.status_code == 202


def test_model_that_does_not_serve_says_so(client: ApiClient, iris: ModelVersion) -> None:
    ModelVersion.objects.mark_unavailable(iris.pk, "/home/someone")
    registry.clear_cache()

    response = client.get("/api/v1/models/iris/")

    assert response.json()["version"] is None
    assert response.json()["versions"][0]["available"] is False
    assert b"someone" not in response.content


def test_model_that_is_not_there_is_404(client: ApiClient, registered: dict[str, RegisteredModel]) -> None:
    assert problem(client.get("/api/v1/models/nothing/"), 404)["code"] == "not_found"
