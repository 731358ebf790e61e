"""The API's ASGI application, asked as the web server asks it: statuses, batches, statements, and waits."""

import gzip
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from predictions.api import callers
from predictions.api.asgi import LAYERS
from predictions.api.http import ApiReply, ApiRequest, Handler
from predictions.lifecycle import registry
from predictions.models import ApiToken, ModelVersion, Prediction, State, Tombstone
from predictions.queue import completions
from predictions.use_cases import wait as waits
from predictions.use_cases.callers import Caller
from tests.integration.conftest import CONTROL, IRIS, make, run_worker
from tests.support.announcements import listening
from tests.support.api_client import ApiClient
from tests.support.door import Answer, Door, open_door
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
PREDICT = "/api/v1/models/iris/predictions/"
ROW = {"features": IRIS}
JSON = {"Content-Type": "application/json"}
LONG = 20.0


@pytest.fixture
def door(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    # Cached models stay valid, even if a slow machine takes seconds between two requests.
    monkeypatch.setattr(registry, "FRESH_SECONDS", 60.0)
    with open_door() as door:
        yield door


def sent(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def address_of(row: Prediction) -> str:
    return f"/api/v1/predictions/{row.pk}/"


# --- Statuses ---------------------------------------------------------------------------------------------------------
Asked = tuple[str, str, bytes, dict[str, str]]
Prepare = Callable[[Any], Asked]


def row(body: Any = ROW, model: str = "iris", **headers: str) -> Prepare:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda world: ("POST", f"/api/v1/models/{model}/predictions/", sent(body), {**JSON, **said})


def fetch(state: State = State.QUEUED, method: str = "GET", **headers: str) -> Prepare:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda world: (method, address_of(make(world.iris, state)), b"", said)


def where(prepare: Callable[[Any], Any], asked: Prepare) -> Prepare:
    """The same request after `prepare` has changed the world. Headers that `prepare` returns are sent too."""

    def both(world: Any) -> Asked:
        more = prepare(world)
        method, address, body, headers = asked(world)
        return method, address, body, {**headers, **(more if isinstance(more, dict) else {})}

    return both


def bearer(world: Any) -> dict[str, str]:
    _, secret = ApiToken.objects.create(user=world.owner, name="a program")
    return {"Authorization": f"Bearer {secret}"}


def private(world: Any) -> None:
    world.settings.PUBLIC_PREDICTIONS = False


def private_with_token(world: Any) -> dict[str, str]:
    private(world)
    return bearer(world)


def key_was_used(world: Any) -> None:
    world.door.ask("POST", PREDICT, sent(ROW), **JSON, Idempotency_Key="a")


def key_was_used_and_answered(world: Any) -> None:
    key_was_used(world)
    run_worker(world.iris)


def rate_is_exceeded(world: Any) -> None:
    world.settings.SUBMIT_RATE = "1/hour"
    world.door.ask("POST", PREDICT, sent(ROW), **JSON)


def queue_is_full(world: Any) -> None:
    world.settings.MAX_QUEUED = 1
    make(world.iris)


def nothing_serves(world: Any) -> None:
    ModelVersion.objects.mark_unavailable(world.iris.pk, "a path: /home/someone")
    registry.clear_cache()


def accept_raises(error: Exception) -> Callable[[Any], None]:
    def prepare(world: Any) -> None:
        def fail(*_: Any) -> None:
            raise error

        world.monkeypatch.setattr(Prediction.objects, "accept", fail)

    return prepare


def reading_raises(world: Any) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("hunter2")

    world.monkeypatch.setattr(Prediction.objects, "find_all", away)


def of_owner(world: Any) -> Asked:
    return "GET", address_of(make(world.iris, State.SUCCEEDED, owner=world.owner)), b"", {}


def gone(world: Any) -> Asked:
    removed = uuid.uuid4()
    Tombstone.objects.put_up([removed])
    return "GET", f"/api/v1/predictions/{removed}/", b"", {}


def session_of_owner(world: Any) -> dict[str, str]:
    browser = Client()
    browser.force_login(world.owner)
    return {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}


def no_uuid(world: Any) -> Asked:
    """An id with hyphens at the wrong places, which Python would read as the id of the row."""
    digits = make(world.iris).pk.hex
    return (
        "GET",
        f"/api/v1/predictions/{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}/",
        b"",
        {},
    )


# Each request, and the status of its reply.
CASES: dict[str, tuple[Prepare, int]] = {
    "list": (row(), 202),
    "object": (row({"features": dict(zip(NAMES, IRIS, strict=True))}), 202),
    "advice": (row({"features": [50, 3.5, 0, 0.2]}), 202),
    "charset": (row(Content_Type="Application/JSON; charset=utf-8"), 202),
    "deadline": (row(Cancel_After="30s"), 202),
    "wait without a worker": (row(Prefer="wait=0.2"), 202),
    "no wait that can be understood": (row(Prefer="wait=soon"), 202),
    "too few values": (row({"features": [1, 2, 3]}), 422),
    "two bad values": (row({"features": [-1, "a", 1, 1]}), 422),
    "not an object": (row([]), 422),
    "another member": (row({"features": IRIS, "more": 1}), 422),
    "unknown feature": (row({"features": {"a/b~c": 1}}), 422),
    "infinite": (row(b'{"features": [1e999, 1, 1, 1]}'), 422),
    "key": (row(Idempotency_Key="b"), 202),
    "key again": (where(key_was_used, row(Idempotency_Key="a")), 202),
    "key again and a wait": (where(key_was_used, row(Idempotency_Key="a", Prefer="wait=0.2")), 202),
    "key again, with an answer": (where(key_was_used_and_answered, row(Idempotency_Key="a", Prefer="wait=5")), 200),
    "key again with another body": (where(key_was_used, row({"features": [1, 1, 1, 1]}, Idempotency_Key="a")), 422),
    "key again in a full queue": (where(lambda w: (key_was_used(w), queue_is_full(w)), row(Idempotency_Key="a")), 202),
    "token": (where(bearer, row()), 202),
    "token where it is needed": (where(private_with_token, row()), 202),
    "token where it is needed, bad row": (where(private_with_token, row({"features": []})), 422),
    "another scheme": (row(Authorization="Basic eDp5"), 401),
    "forged visitor": (row(Cookie="visitor=somebody:x:y"), 202),
    "too fast": (where(rate_is_exceeded, row()), 429),
    "full queue": (where(queue_is_full, row()), 503),
    "nothing serves": (where(nothing_serves, row()), 503),
    "database away": (where(accept_raises(OperationalError("hunter2")), row()), 503),
    "error of ours": (where(accept_raises(RuntimeError("hunter2")), row()), 500),
    "query": (lambda world: ("POST", f"{PREDICT}?a=b", sent(ROW), JSON), 422),
    "fetch queued": (fetch(), 200),
    "fetch running": (fetch(State.RUNNING), 200),
    "fetch succeeded": (fetch(State.SUCCEEDED), 200),
    "fetch failed": (fetch(State.FAILED), 200),
    "fetch canceled": (fetch(State.CANCELED), 200),
    "fetch expired": (fetch(State.EXPIRED), 200),
    "fetch known": (fetch(State.SUCCEEDED, If_None_Match='W/"x", "succeeded-1"'), 304),
    "fetch what was otherwise": (fetch(State.SUCCEEDED, If_None_Match='"queued-0"'), 200),
    "fetch mine": (where(bearer, of_owner), 200),
    "fetch where a token is needed": (where(private_with_token, of_owner), 200),
    "fetch without the database": (where(reading_raises, fetch()), 503),
    "not JSON": (row(b"{"), 400),
    "not UTF-8": (row(b'{"features": "\xff"}'), 400),
    "NaN": (row(b'{"features": [NaN, 1, 1, 1]}'), 400),
    "repeated name": (row(b'{"features": [1, 1, 1, 1], "features": [1, 1, 1, 1]}'), 400),
    "empty": (row(b""), 400),
    "other content type": (row(Content_Type="text/plain"), 415),
    "no content type": (row(Content_Type=""), 415),
    "form": (row(b"features=1", Content_Type="application/x-www-form-urlencoded"), 415),
    "compressed": (row(gzip.compress(sent(ROW)), Content_Encoding="gzip"), 202),
    "compressed otherwise": (row(Content_Encoding="br"), 415),
    "not compressed, as it says": (row(Content_Encoding="gzip"), 400),
    "too large": (row(sent(ROW).ljust(1024 * 1024 + 1)), 413),
    "unknown model": (row(model="nothing"), 404),
    "model with another letter": (row(model="%C3%A9"), 404),
    "bad key": (row(Idempotency_Key="k" * 201), 400),
    "bad deadline": (row(Cancel_After="soon"), 400),
    "wrong token": (row(Authorization="Bearer ft_nobody"), 401),
    "wrong token, bad row": (row({"features": []}, Authorization="Bearer ft_nobody"), 401),
    "no token": (where(private, row()), 401),
    "no token, bad row": (where(private, row({"features": []})), 401),
    "no token, not JSON": (where(private, row(b"{")), 401),
    "no token, unknown model": (where(private, row(model="nothing")), 401),
    "wrong token where one is needed": (where(private, row(Authorization="Bearer ft_nobody")), 401),
    "foreign host": (row(Host="example.org"), 400),
    "session": (row(Cookie="sessionid=nobody"), 202),
    "put": (lambda world: ("PUT", PREDICT, sent(ROW), JSON), 405),
    "options": (lambda world: ("OPTIONS", PREDICT, b"", {}), 204),
    "fetch another's": (of_owner, 404),
    "fetch with a session": (where(session_of_owner, of_owner), 404),
    "fetch with a wrong token": (fetch(Authorization="Bearer ft_nobody"), 401),
    "fetch without a token": (where(private, fetch()), 401),
    "fetch what is gone": (gone, 410),
    "fetch nothing": (lambda world: ("GET", f"/api/v1/predictions/{uuid.uuid4()}/", b"", {}), 404),
    "fetch no uuid": (lambda world: ("GET", "/api/v1/predictions/7/", b"", {}), 404),
    "fetch hyphens elsewhere": (no_uuid, 404),
    "fetch from a foreign host": (fetch(Host="example.org"), 400),
    "fetch with a body": (lambda world: ("GET", address_of(make(world.iris)), b" " * (1024 * 1024 + 1), {}), 413),
    "head": (fetch(State.SUCCEEDED, "HEAD"), 200),
    "options of a fetch": (fetch(method="OPTIONS"), 204),
    "delete": (fetch(method="DELETE"), 403),
    "patch": (fetch(method="PATCH"), 405),
    "list of mine": (lambda world: ("GET", "/api/v1/predictions/", b"", {}), 200),
    "model": (lambda world: ("GET", "/api/v1/models/iris/", b"", {}), 200),
}


@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize("name", CASES)
def test_reply_has_the_status_of_its_case(
    name: str, door: Door, iris: ModelVersion, owner: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, status = CASES[name]
    world = SimpleNamespace(door=door, iris=iris, owner=owner, settings=settings, monkeypatch=monkeypatch)
    method, address, body, headers = prepare(world)

    reply = door.ask(method, address, body, **headers)

    assert reply.status_code == status
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert b"hunter2" not in reply.content
    if status >= 400:
        assert reply.headers["content-type"] == "application/problem+json"
        assert reply.json()["status"] == status


def test_caller_of_an_accepted_row_is_the_tokens_owner_or_the_address(door: Door, owner: User) -> None:
    for headers in ({}, bearer(SimpleNamespace(owner=owner))):
        assert door.ask("POST", PREDICT, sent(ROW), **JSON, **headers).status_code == 202

    found = list(Prediction.objects.order_by("created_at", "id").values_list("caller", "owner"))
    assert found[1:] == [(f"user:{owner.pk}", owner.pk)]
    assert found[0][0].startswith("address:")


@pytest.mark.parametrize("authorization", ["Basic eDp5", "ft_bare", "Bearer", "Bearer ft_nobody"])
def test_authorization_that_is_not_understood_is_never_anonymous(door: Door, authorization: str) -> None:
    reply = door.ask("POST", PREDICT, sent(ROW), **JSON, Authorization=authorization)

    assert reply.status_code == 401
    assert reply.headers["www-authenticate"] == 'Bearer realm="foretell", error="invalid_token"'
    assert Prediction.objects.count() == 0


# --- One configuration for every operation ----------------------------------------------------------------------------
OPERATIONS = [
    ("POST", PREDICT), ("GET", f"/api/v1/predictions/{uuid.UUID(int=7)}/"), ("POST", "/v2/models/iris/infer"),
    ("POST", "/v2/models/iris/versions/1/infer"), ("GET", "/api/v1/models/"), ("GET", "/api/v1/models/iris/"),
    ("GET", "/api/v1/predictions/"), ("POST", f"/api/v1/predictions/{uuid.UUID(int=7)}/cancel/"),
    ("POST", f"/api/v1/predictions/{uuid.UUID(int=7)}/feedback/"), ("GET", "/api/v1/schema/"), ("GET", "/api/nothing/"),
    ("GET", "/v2"), ("GET", "/v2/health/live"), ("GET", "/v2/health/ready"), ("GET", "/v2/models/iris"),
    ("GET", "/v2/models/iris/ready"), ("POST", "/v2/repository/index"), ("GET", "/v2/nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "address"), OPERATIONS)
def test_added_layer_and_scheme_apply_to_every_operation(
    method: str, address: str, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def marked(call_next: Handler, request: ApiRequest) -> ApiReply:
        reply = await call_next(request)
        reply.headers["X-Caller"] = request.caller.key
        return reply

    async def by_badge(request: ApiRequest) -> Caller | None:
        return Caller("badge:7") if request.headers.get("x-badge") == "7" else None

    monkeypatch.setattr(callers, "SCHEMES", [*callers.SCHEMES, by_badge])
    # `marked` is the outermost layer, so refusals get its header too.
    client = ApiClient(layers=[marked, *LAYERS])

    assert client.request(method, address, headers={"X-Badge": "7"})["X-Caller"] == "badge:7"


# --- Many at once -----------------------------------------------------------------------------------------------------
@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows that each call of `accept` got."""
    counts: list[int] = []
    accept = Prediction.objects.accept

    def counted(predictions: Any) -> None:
        counts.append(len(predictions))
        accept(predictions)

    monkeypatch.setattr(Prediction.objects, "accept", counted)
    return counts


def test_crowd_of_inferences_is_answered_while_the_queue_is_not_full(door: Door, iris: ModelVersion) -> None:
    tensor = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": IRIS}
    asked = [("POST", "/v2/models/iris/infer", sent({"inputs": [tensor]}), JSON)] * 400

    def work() -> None:
        wait_until(lambda: Prediction.objects.count() == 400, 60, "all rows are accepted")
        run_worker(iris)

    worker = threading.Thread(target=work)
    worker.start()
    answers = door.ask_at_once(asked)
    worker.join()

    assert {answer.status_code for answer in answers} == {200}


def test_rows_that_come_at_once_are_committed_together(door: Door, commits: list[int]) -> None:
    bodies = [sent({"features": [number / 10 + 4, 3, 1, 1]}) for number in range(30)]

    answers = door.ask_at_once([("POST", PREDICT, body, JSON) for body in bodies])

    assert [answer.status_code for answer in answers] == [202] * 30
    assert [answer.json()["features"][NAMES[0]] for answer in answers] == [n / 10 + 4 for n in range(30)]
    assert len({answer.json()["id"] for answer in answers}) == Prediction.objects.count() == 30
    assert sum(commits) == 30
    assert len(commits) <= 3


def test_one_key_asked_fifty_times_at_once_is_one_row(door: Door) -> None:
    answers = door.ask_at_once([("POST", PREDICT, sent(ROW), {**JSON, "Idempotency-Key": "a"})] * 50)

    assert [answer.status_code for answer in answers] == [202] * 50
    assert {answer.json()["id"] for answer in answers} == {str(Prediction.objects.get().pk)}


def test_what_is_wrong_with_one_request_harms_none_that_came_with_it(door: Door, owner: User) -> None:
    good: Asked = ("POST", PREDICT, sent(ROW), JSON)
    answers = door.ask_at_once(
        [
            good,
            ("POST", PREDICT, sent({"features": []}), JSON),
            ("POST", PREDICT.replace("iris", "nothing"), sent(ROW), JSON),
            ("POST", PREDICT, sent(ROW), {**JSON, "Authorization": "Bearer ft_nobody"}),
            (
                "POST",
                PREDICT,
                sent(ROW),
                {**JSON, "Authorization": bearer(SimpleNamespace(owner=owner))["Authorization"]},
            ),
            good,
        ]
    )

    assert [answer.status_code for answer in answers] == [202, 422, 404, 401, 202, 202]
    assert list(Prediction.objects.order_by("owner").values_list("owner", flat=True)).count(owner.pk) == 1
    assert Prediction.objects.count() == 3


def test_each_row_is_logged_with_the_name_of_its_own_request(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    answers = door.ask_at_once([("POST", PREDICT, sent(ROW), JSON)] * 10)

    lines: list[Any] = [record for record in caplog.records if record.name == "predictions.use_cases.submit"]
    logged = {(str(one), asked) for line in lines for one, asked in zip(line.predictions, line.requests, strict=True)}
    assert logged == {(answer.json()["id"], answer.headers["x-request-id"]) for answer in answers}


def test_database_that_is_away_is_told_to_all_who_asked_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def away(predictions: Any) -> None:
        tries.append(len(predictions))
        raise OperationalError

    monkeypatch.setattr(Prediction.objects, "accept", away)

    answers = door.ask_at_once([("POST", PREDICT, sent(ROW), JSON)] * 20)

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "database_away")] * 20
    assert sum(tries) <= 20


# --- Statements -------------------------------------------------------------------------------------------------------
def asked_of_the_database(door: Door, ask: Callable[[], Any]) -> list[str]:
    """The statements of a request without those that control transactions. A first request has filled the caches."""
    ask()
    door.statements.clear()
    ask()
    return [sql for sql in door.statements if not sql.lstrip().upper().startswith(CONTROL)]


def test_lone_row_takes_three_statements_at_most(door: Door) -> None:
    asked = asked_of_the_database(door, lambda: door.ask("POST", PREDICT, sent(ROW), **JSON))

    *reads, last = [sql.split()[0] for sql in asked]  # the length of the queue and the time are cached for a while
    assert (set(reads) <= {"SELECT"}, last) == (True, "INSERT")
    assert len(reads) <= 2


def test_lone_look_takes_one_statement(door: Door, iris: ModelVersion) -> None:
    address = address_of(make(iris))

    assert len(asked_of_the_database(door, lambda: door.ask("GET", address))) == 1


def test_fetches_at_one_time_share_statements(door: Door, iris: ModelVersion) -> None:
    addresses = [address_of(make(iris)) for _ in range(20)]
    door.ask("GET", addresses[0])
    door.statements.clear()

    answers = door.ask_at_once([("GET", address, b"", {}) for address in addresses])

    assert [f"/api/v1/predictions/{answer.json()['id']}/" for answer in answers] == addresses
    # The first row is read at once. The others gather meanwhile and are read together.
    assert len(door.statements) < len(addresses) / 2


# --- Waiting ----------------------------------------------------------------------------------------------------------
def begin(door: Door, seconds: float, **headers: str) -> "tuple[Future[Answer], Prediction]":
    """Submit a row and ask to wait for its answer. Returns the future response, and the row once it is stored."""
    asked = door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer=f"wait={seconds}", **headers)
    wait_until(Prediction.objects.exists, 10, "the row is kept")
    return asked, Prediction.objects.get()


def waiting(prediction_id: uuid.UUID) -> int:
    """The number of requests that wait for a prediction."""
    return completions.listener.count(prediction_id)


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """No completion is announced, and a wait reads its row only at its end."""
    monkeypatch.setattr(completions, "announce", lambda ids: None)
    monkeypatch.setattr(completions, "LOOK_SECONDS", 3600.0)


def test_row_that_is_settled_during_the_wait_is_answered_at_once(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    asked, _ = begin(door, LONG)
    listening(clean_redis)
    started = time.monotonic()
    run_worker(iris)
    answer = asked.result(LONG / 2)

    assert time.monotonic() - started < LONG / 2
    assert (answer.status_code, answer.json()["status"], answer.json()["output"]["label"]) == (
        200,
        "succeeded",
        "setosa",
    )
    assert answer.headers["preference-applied"] == "wait=20"
    assert answer.headers["server-timing"].startswith("queue;dur=")
    assert "retry-after" not in answer.headers
    assert waiting(uuid.UUID(answer.json()["id"])) == 0


def test_row_that_is_canceled_during_the_wait_is_answered_at_once(door: Door, clean_redis: redis.Redis) -> None:
    asked, kept_row = begin(door, LONG)
    listening(clean_redis)

    assert door.ask("POST", f"{address_of(kept_row)}cancel/").status_code == 200
    answer = asked.result(LONG / 2)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


def test_all_who_wait_for_one_prediction_are_answered_at_its_end(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    asked, kept_row = begin(door, LONG, **{"Idempotency-Key": "a"})
    again = door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=20", **{"Idempotency-Key": "a"})
    wait_until(lambda: waiting(kept_row.pk) == 2, 10, "both wait")
    listening(clean_redis)
    run_worker(iris)

    answers = [asked.result(LONG / 2), again.result(LONG / 2)]
    assert [(answer.status_code, answer.json()["id"]) for answer in answers] == [(200, str(kept_row.pk))] * 2
    assert waiting(kept_row.pk) == 0


@pytest.mark.usefixtures("unheard")
def test_announcement_that_is_lost_is_made_up_for_at_the_end_of_the_wait(door: Door) -> None:
    asked, kept_row = begin(door, 1.5)
    assert Prediction.objects.filter(pk=kept_row.pk).cancel() == [kept_row.pk]

    answer = asked.result(LONG)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert answer.headers["preference-applied"] == "wait=1.5"


@pytest.mark.usefixtures("unheard")
def test_wait_looks_once_when_nothing_is_announced(door: Door) -> None:
    answer = door.ask("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=0.3")

    assert answer.status_code == 202
    assert len([sql for sql in door.statements if sql.startswith("SELECT") and "attempts" in sql]) == 1


def test_look_at_a_row_accepted_just_now_waits_a_moment_for_its_answer(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "MOMENT_SECONDS", LONG)
    row = make(iris)
    asked = door.begin("GET", address_of(row))
    wait_until(lambda: waiting(row.pk) == 1, 10, "the look waits")
    listening(clean_redis)
    run_worker(iris)

    answer = asked.result(LONG / 2)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert "preference-applied" not in answer.headers
    assert waiting(row.pk) == 0


@pytest.mark.parametrize(("state", "age"), [(State.QUEUED, 2.0), (State.RUNNING, 2.0), (State.SUCCEEDED, 0.0)])
def test_look_at_another_row_does_not_wait(
    door: Door, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch, state: State, age: float
) -> None:
    monkeypatch.setattr(waits, "MOMENT_SECONDS", LONG)

    assert door.begin("GET", address_of(make(iris, state, age=age))).result(LONG / 2).json()["status"] == state


def test_row_that_is_removed_during_the_wait_is_shown_as_it_was(door: Door, clean_redis: redis.Redis) -> None:
    asked, kept_row = begin(door, 1.0)
    listening(clean_redis)
    Prediction.objects.all().delete()
    completions.announce([kept_row.pk])

    answer = asked.result(LONG)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, str(kept_row.pk), "queued")


def test_database_that_goes_away_during_the_wait_makes_no_accepted_row_an_error(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(ids: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(Prediction.objects, "fetch_statuses", away)
    answer = door.ask("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=0.2")

    assert (answer.status_code, answer.json()["status"], answer.headers["retry-after"]) == (202, "queued", "1")


def test_refusal_is_logged_with_its_path(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "django.request"):
        answer = door.ask("POST", PREDICT, sent({"features": {}}), **JSON)

    assert answer.status_code == 422
    assert [record.getMessage() for record in caplog.records if record.name == "django.request"] == [
        f"Unprocessable Content: {PREDICT}"
    ]


def test_asker_who_goes_away_during_the_wait_leaves_nothing_behind(door: Door) -> None:
    asked, kept_row = begin(door, LONG)
    wait_until(lambda: waiting(kept_row.pk) == 1, 10, "the request waits")

    asked.cancel()

    wait_until(lambda: waiting(kept_row.pk) == 0, 10, "no request waits")
    with pytest.raises(CancelledError):
        asked.result(LONG)
    # The row stays queued, and other requests are answered as before.
    assert Prediction.objects.get().state == State.QUEUED
    assert door.ask("POST", PREDICT, sent(ROW), **JSON).status_code == 202


def test_many_wait_without_a_thread_each(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis, settings: Any
) -> None:
    """There are more requests than threads, and only one thread may wait."""
    settings.WAITERS_MAX = 1
    count = 2 * settings.ENV.web_threads
    asked = [door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=20") for _ in range(count)]
    wait_until(lambda: Prediction.objects.count() == count, 10, "all are accepted")
    wait_until(lambda: all(map(waiting, Prediction.objects.values_list("pk", flat=True))), 10, "all wait")
    listening(clean_redis)
    run_worker(iris)

    assert [one.result(LONG).json()["status"] for one in asked] == ["succeeded"] * count
