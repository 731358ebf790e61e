"""The short way answers as the long way does, and waits as it does; and it is taken where it should be."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
import redis
from django.contrib.auth.models import User
from django.core import signing
from django.db import OperationalError
from django.test import Client

from predictions.lifecycle import registry
from predictions.models import ApiToken, ModelVersion, Prediction, State, Tombstone
from predictions.queue import completions
from predictions.use_cases import callers
from tests.integration.conftest import CONTROL, IRIS, make, run_worker, signed_in
from tests.support.announcements import listening
from tests.support.door import Answer, Door, open_door
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
PREDICT = "/api/v1/models/iris/predictions/"
ROW = {"features": IRIS}
JSON = {"Content-Type": "application/json"}
LONG = 20.0


@pytest.fixture(autouse=True)
def _who_asks_may_wait(settings: Any, _an_answer_at_once: None) -> None:
    settings.WAITERS_MAX = 40


@pytest.fixture
def door(iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    # What a slow machine takes between two requests is not for these tests to see.
    monkeypatch.setattr(registry, "FRESH_SECONDS", 60.0)
    with open_door() as door:
        yield door


def sent(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def address_of(row: Prediction) -> str:
    return f"/api/v1/predictions/{row.pk}/"


# --- Either way the same ----------------------------------------------------------------------------------------------
Asked = tuple[str, str, bytes, dict[str, str]]
Prepare = Callable[[Any], Asked]


def row(body: Any = ROW, model: str = "iris", **headers: str) -> Prepare:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda world: ("POST", f"/api/v1/models/{model}/predictions/", sent(body), {**JSON, **said})


def look(state: State = State.QUEUED, method: str = "GET", **headers: str) -> Prepare:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda world: (method, address_of(make(world.iris, state)), b"", said)


def where(prepare: Callable[[Any], Any], asked: Prepare) -> Prepare:
    """The same in another world; what `prepare` gives are more headers."""

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
    Client(SERVER_NAME="localhost").post(
        PREDICT, ROW, content_type="application/json", headers={"Idempotency-Key": "a"}
    )


def key_was_used_and_answered(world: Any) -> None:
    key_was_used(world)
    run_worker(world.iris)


def rate_is_exceeded(world: Any) -> None:
    world.settings.SUBMIT_RATE = "1/hour"
    Client(SERVER_NAME="localhost").post(PREDICT, ROW, content_type="application/json")


def queue_is_full(world: Any) -> None:
    world.settings.MAX_QUEUED = 1
    make(world.iris)


def nothing_serves(world: Any) -> None:
    ModelVersion.objects.mark_unavailable(world.iris.pk, "a path: /home/someone")
    registry.forget()


def accept_raises(error: Exception) -> Callable[[Any], None]:
    def prepare(world: Any) -> None:
        def fail(*_: Any) -> None:
            raise error

        world.monkeypatch.setattr(Prediction.objects, "accept", fail)

    return prepare


def reading_raises(world: Any) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("hunter2")

    world.monkeypatch.setattr(Prediction.objects, "find", away)
    world.monkeypatch.setattr(Prediction.objects, "find_all", away)


def visitor(world: Any) -> dict[str, str]:
    signed = signing.get_cookie_signer(salt=callers.COOKIE + callers.COOKIE).sign("somebody")
    return {"Cookie": f"{callers.COOKIE}={signed}"}


def of_owner(world: Any) -> Asked:
    return "GET", address_of(make(world.iris, State.SUCCEEDED, owner=world.owner)), b"", {}


def gone(world: Any) -> Asked:
    removed = uuid.uuid4()
    Tombstone.objects.put_up([removed])
    return "GET", f"/api/v1/predictions/{removed}/", b"", {}


def session_of_owner(world: Any) -> dict[str, str]:
    return {"Cookie": f"sessionid={signed_in(world.owner).cookies['sessionid'].value}"}


def no_uuid(world: Any) -> Asked:
    """Nor is this one, although Python takes it for the id of the row."""
    digits = make(world.iris).pk.hex
    return (
        "GET",
        f"/api/v1/predictions/{digits[:4]}-{digits[4:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:]}/",
        b"",
        {},
    )


SHORT: dict[str, Prepare] = {
    "list": row(),
    "object": row({"features": dict(zip(NAMES, IRIS, strict=True))}),
    "advice": row({"features": [50, 3.5, 0, 0.2]}),
    "charset": row(Content_Type="Application/JSON; charset=utf-8"),
    "deadline": row(Cancel_After="30s"),
    "wait without a worker": row(Prefer="wait=0.2"),
    "no wait that can be understood": row(Prefer="wait=soon"),
    "too few values": row({"features": [1, 2, 3]}),
    "two bad values": row({"features": [-1, "a", 1, 1]}),
    "not an object": row([]),
    "another member": row({"features": IRIS, "more": 1}),
    "unknown feature": row({"features": {"a/b~c": 1}}),
    "infinite": row(b'{"features": [1e999, 1, 1, 1]}'),
    "key": row(Idempotency_Key="b"),
    "key again": where(key_was_used, row(Idempotency_Key="a")),
    "key again and a wait": where(key_was_used, row(Idempotency_Key="a", Prefer="wait=0.2")),
    "key again, with an answer": where(key_was_used_and_answered, row(Idempotency_Key="a", Prefer="wait=5")),
    "key again with another body": where(key_was_used, row({"features": [1, 1, 1, 1]}, Idempotency_Key="a")),
    "key again in a full queue": where(lambda w: (key_was_used(w), queue_is_full(w)), row(Idempotency_Key="a")),
    "token": where(bearer, row()),
    "token where it is needed": where(private_with_token, row()),
    "token where it is needed, bad row": where(private_with_token, row({"features": []})),
    "another scheme": row(Authorization="Basic eDp5"),
    "visitor": where(visitor, row()),
    "forged visitor": row(Cookie="visitor=somebody:x:y"),
    "too fast": where(rate_is_exceeded, row()),
    "full queue": where(queue_is_full, row()),
    "nothing serves": where(nothing_serves, row()),
    "database away": where(accept_raises(OperationalError("hunter2")), row()),
    "error of ours": where(accept_raises(RuntimeError("hunter2")), row()),
    "query": lambda world: ("POST", f"{PREDICT}?a=b", sent(ROW), JSON),
    "look at queued": look(),
    "look at running": look(State.RUNNING),
    "look at succeeded": look(State.SUCCEEDED),
    "look at failed": look(State.FAILED),
    "look at canceled": look(State.CANCELED),
    "look at expired": look(State.EXPIRED),
    "look at what is known": look(State.SUCCEEDED, If_None_Match='W/"x", "succeeded-1"'),
    "look at what was otherwise": look(State.SUCCEEDED, If_None_Match='"queued-0"'),
    "look at mine": where(bearer, of_owner),
    "look where a token is needed": where(private_with_token, of_owner),
    "look without the database": where(reading_raises, look()),
}
REFUSED: dict[str, Prepare] = {
    "not JSON": row(b"{"),
    "not UTF-8": row(b'{"features": "\xff"}'),
    "NaN": row(b'{"features": [NaN, 1, 1, 1]}'),
    "repeated name": row(b'{"features": [1, 1, 1, 1], "features": [1, 1, 1, 1]}'),
    "empty": row(b""),
    "other content type": row(Content_Type="text/plain"),
    "no content type": row(Content_Type=""),
    "form": row(b"features=1", Content_Type="application/x-www-form-urlencoded"),
    "compressed": row(Content_Encoding="gzip"),
    "too large": row(sent(ROW).ljust(1024 * 1024 + 1)),
    "unknown model": row(model="nothing"),
    "model with another letter": row(model="%C3%A9"),
    "bad key": row(Idempotency_Key="k" * 201),
    "bad deadline": row(Cancel_After="soon"),
    "wrong token": row(Authorization="Bearer ft_nobody"),
    "wrong token, bad row": row({"features": []}, Authorization="Bearer ft_nobody"),
    "no token": where(private, row()),
    "no token, bad row": where(private, row({"features": []})),
    "no token, not JSON": where(private, row(b"{")),
    "no token, unknown model": where(private, row(model="nothing")),
    "wrong token where one is needed": where(private, row(Authorization="Bearer ft_nobody")),
    "foreign host": row(Host="example.org"),
    "session": row(Cookie="sessionid=nobody"),
    "put": lambda world: ("PUT", PREDICT, sent(ROW), JSON),
    "options": lambda world: ("OPTIONS", PREDICT, b"", {}),
    "look at another's": of_owner,
    "look with a session": where(session_of_owner, of_owner),
    "look with a wrong token": look(Authorization="Bearer ft_nobody"),
    "look without a token": where(private, look()),
    "look at what is gone": gone,
    "look at nothing": lambda world: ("GET", f"/api/v1/predictions/{uuid.uuid4()}/", b"", {}),
    "look at no uuid": lambda world: ("GET", "/api/v1/predictions/7/", b"", {}),
    "look at hyphens elsewhere": no_uuid,
    "look from a foreign host": look(Host="example.org"),
    "look with a body": lambda world: ("GET", address_of(make(world.iris)), b" " * (1024 * 1024 + 1), {}),
    "head": look(State.SUCCEEDED, "HEAD"),
    "options of a look": look(method="OPTIONS"),
    "delete": look(method="DELETE"),
    "list of mine": lambda world: ("GET", "/api/v1/predictions/", b"", {}),
    "model": lambda world: ("GET", "/api/v1/models/iris/", b"", {}),
}
COMPARED = (
    "Content-Type",
    "Content-Length",
    "Location",
    "Retry-After",
    "Preference-Applied",
    "WWW-Authenticate",
    "ETag",
    "Server-Timing",
    "Cache-Control",
    "Vary",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Cross-Origin-Opener-Policy",
)
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def masked(text: str) -> str:
    return TIME.sub("<time>", ID.sub("<id>", text))


def seen(method: str, response: Any) -> tuple[int, str, dict[str, str | None]]:
    headers = {name: response.headers.get(name) for name in COMPARED}
    # Of a HEAD and of what has not changed the server sends no body.
    content = b"" if method == "HEAD" else response.content
    cookies = {"cookies": " ".join(response.cookies)}
    return response.status_code, masked(content.decode()), {n: v and masked(v) for n, v in headers.items()} | cookies


class ShortAnswer:
    """With names of headers as the test client has them."""

    def __init__(self, answer: Answer) -> None:
        self.status_code, self.content, lower = answer.status_code, answer.content, answer.headers
        self.cookies = [cookie.partition("=")[0] for cookie in answer.cookies]
        self.headers = {name: lower[name.lower()] for name in (*COMPARED, "X-Request-ID") if name.lower() in lower}


def kept(before: set[uuid.UUID]) -> list[dict[str, Any]]:
    """The rows that are new, but for their ids and times."""
    rows = Prediction.objects.exclude(pk__in=before).values()
    return [
        {**{n: v for n, v in one.items() if n not in ("id", "created_at", "deadline_at")}, "time": time_of(one)}
        for one in rows
    ]


def time_of(one: dict[str, Any]) -> float:
    return (one["deadline_at"] - one["created_at"]).total_seconds()


@pytest.mark.usefixtures("clean_redis")
@pytest.mark.parametrize(
    ("asked", "is_short"),
    [pytest.param(asked, True, id=name) for name, asked in SHORT.items()]
    + [pytest.param(asked, False, id=name) for name, asked in REFUSED.items()],
)
def test_either_way_the_answer_is_the_same(
    asked: Prepare,
    is_short: bool,
    door: Door,
    iris: ModelVersion,
    owner: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = SimpleNamespace(iris=iris, owner=owner, settings=settings, monkeypatch=monkeypatch)
    method, address, body, headers = asked(world)
    before = set(Prediction.objects.values_list("pk", flat=True))

    client = Client(SERVER_NAME="localhost", raise_request_exception=False)
    said = {name: value for name, value in headers.items() if name != "Content-Type"}
    long = client.generic(method, address, body, content_type=headers.get("Content-Type", ""), headers=said)
    of_long = kept(before)
    between = set(Prediction.objects.values_list("pk", flat=True))
    short = ShortAnswer(door.ask(method, address, body, **headers))

    assert seen(method, short) == seen(method, long)
    assert re.fullmatch("[0-9a-f]{32}", short.headers["X-Request-ID"])
    if "Idempotency-Key" in headers:  # whoever comes second gets the row of the first
        assert kept(between) == []
    else:
        assert kept(between) == of_long
    assert b"hunter2" not in short.content
    assert door.long_ways == ([] if is_short else [unquote(address)])


def test_caller_of_an_accepted_row_is_who_they_say(door: Door, owner: User) -> None:
    world = SimpleNamespace(owner=owner)
    for headers in ({}, visitor(world), bearer(world)):
        assert door.ask("POST", PREDICT, sent(ROW), **JSON, **headers).status_code == 202

    found = list(Prediction.objects.order_by("created_at").values_list("caller", "owner"))
    assert found[1:] == [("visitor:somebody", None), (f"user:{owner.pk}", owner.pk)]
    assert found[0][0].startswith("address:")


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:1/"])
def test_traces_see_every_request(door: Door, settings: Any, endpoint: str) -> None:
    settings.ENV = settings.ENV.model_copy(update={"otel_exporter_otlp_endpoint": endpoint})

    assert door.ask("POST", PREDICT, sent(ROW), **JSON).status_code == 202
    assert door.long_ways == ([PREDICT] if endpoint else [])


# --- Many at once -----------------------------------------------------------------------------------------------------
@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each transaction accepted."""
    counts: list[int] = []
    accept = Prediction.objects.accept

    def counted(predictions: Any) -> None:
        counts.append(len(predictions))
        accept(predictions)

    monkeypatch.setattr(Prediction.objects, "accept", counted)
    return counts


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
    logged = {pair for line in lines for pair in zip(line.predictions, line.requests, strict=True)}
    assert logged == {(answer.json()["id"], answer.headers["x-request-id"]) for answer in answers}


def test_database_that_is_away_is_told_to_all_who_asked_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def away(predictions: Any) -> None:
        tries.append(len(predictions))
        raise OperationalError

    monkeypatch.setattr(Prediction.objects, "accept", away)

    answers = door.ask_at_once([("POST", PREDICT, sent(ROW), JSON)] * 20)

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "database_away")] * 20
    assert tries == [20]


# --- Statements -------------------------------------------------------------------------------------------------------
def asked_of_the_database(door: Door, ask: Callable[[], Any]) -> list[str]:
    """Without the transaction's own, when nothing is new any more."""
    ask()
    door.statements.clear()
    ask()
    return [sql for sql in door.statements if not sql.lstrip().upper().startswith(CONTROL)]


def test_lone_row_takes_two_statements(door: Door) -> None:
    asked = asked_of_the_database(door, lambda: door.ask("POST", PREDICT, sent(ROW), **JSON))

    assert [sql.split()[0] for sql in asked] in (["SELECT", "INSERT"], ["INSERT"])


def test_lone_look_takes_one_statement(door: Door, iris: ModelVersion) -> None:
    address = address_of(make(iris))

    assert len(asked_of_the_database(door, lambda: door.ask("GET", address))) == 1


def test_looks_at_one_time_take_one_statement(door: Door, iris: ModelVersion) -> None:
    addresses = [address_of(make(iris)) for _ in range(20)]
    door.ask("GET", addresses[0])
    door.statements.clear()

    answers = door.ask_at_once([("GET", address, b"", {}) for address in addresses])

    assert [f"/api/v1/predictions/{answer.json()['id']}/" for answer in answers] == addresses
    assert len(door.statements) == 1


# --- Waiting ----------------------------------------------------------------------------------------------------------
def begin(door: Door, seconds: float, **headers: str) -> "tuple[Future[Answer], Prediction]":
    """Ask for a row and a wait; the row, when it is kept."""
    asked = door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer=f"wait={seconds}", **headers)
    wait_until(Prediction.objects.exists, 10, "the row is kept")
    return asked, Prediction.objects.get()


def expectations(door: Door) -> dict[str, Any]:
    """By id; empty before the first request."""
    return door.handler._express._expected._news if door.handler._express else {}


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> None:
    """No announcement reaches anybody."""
    monkeypatch.setattr(completions.Waiters, "_listen_always", lambda waiters: None)
    monkeypatch.setattr("predictions.api.asgi._Expected._hear", lambda expected, keys: None)


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
    assert (door.long_ways, expectations(door)) == ([], {})


def test_row_that_is_canceled_during_the_wait_is_answered_at_once(door: Door, clean_redis: redis.Redis) -> None:
    asked, kept_row = begin(door, LONG)
    listening(clean_redis)

    assert Client().post(f"{address_of(kept_row)}cancel/").status_code == 200
    answer = asked.result(LONG / 2)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


def test_all_who_wait_for_one_prediction_are_answered_at_its_end(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis
) -> None:
    asked, kept_row = begin(door, LONG, **{"Idempotency-Key": "a"})
    again = door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=20", **{"Idempotency-Key": "a"})
    wait_until(lambda: len(expectations(door).get(kept_row.pk.hex, ())) == 2, 10, "both wait")
    listening(clean_redis)
    run_worker(iris)

    answers = [asked.result(LONG / 2), again.result(LONG / 2)]
    assert [(answer.status_code, answer.json()["id"]) for answer in answers] == [(200, str(kept_row.pk))] * 2
    assert expectations(door) == {}


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
    looked: list[Any] = []

    def away(ids: Any) -> None:
        looked.append(ids)
        raise OperationalError

    monkeypatch.setattr(Prediction.objects, "look", away)
    answer = door.ask("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=0.2")

    assert (answer.status_code, answer.json()["status"], answer.headers["retry-after"]) == (202, "queued", "1")
    assert len(looked) == 1


def test_announcement_of_another_prediction_makes_nobody_look(
    door: Door, clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three who wait, the first to end makes sure that all have looked who look when the listener begins."""
    bodies = [sent({"features": [5, 3, 1, number]}) for number in range(3)]
    asked = [door.begin("POST", PREDICT, body, **JSON, Prefer="wait=20") for body in bodies]
    wait_until(lambda: len(expectations(door)) == Prediction.objects.count() == 3, 10, "all wait")
    listening(clean_redis)
    first, second, _ = sorted(Prediction.objects.all(), key=lambda kept_row: kept_row.values[3])

    def end(kept_row: Prediction) -> None:
        Prediction.objects.filter(pk=kept_row.pk).cancel()
        completions.announce([kept_row.pk])

    end(first)
    assert asked[0].result(LONG / 2).status_code == 200
    looked: list[Any] = []
    look_at = Prediction.objects.look
    monkeypatch.setattr(Prediction.objects, "look", lambda ids: looked.append(list(ids)) or look_at(ids))
    end(second)

    assert asked[1].result(LONG / 2).status_code == 200
    assert looked == [[second.pk]]
    assert not asked[2].done()


def test_refusal_is_in_the_log_as_one_of_the_long_way_is(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "django.request"):
        answer = door.ask("POST", PREDICT, sent({"features": {}}), **JSON)

    assert (answer.status_code, door.long_ways) == (422, [])
    assert [record.getMessage() for record in caplog.records if record.name == "django.request"] == [
        f"Unprocessable Entity: {PREDICT}"
    ]


def test_asker_who_goes_away_during_the_wait_leaves_nothing_behind(door: Door) -> None:
    asked, kept_row = begin(door, LONG)
    wait_until(lambda: kept_row.pk.hex in expectations(door), 10, "somebody waits")

    asked.cancel()

    wait_until(lambda: expectations(door) == {}, 10, "nobody is expected")
    with pytest.raises(CancelledError):
        asked.result(LONG)
    # The row stays, and others are served as before.
    assert Prediction.objects.get().state == State.QUEUED
    assert door.ask("POST", PREDICT, sent(ROW), **JSON).status_code == 202


def test_many_wait_without_a_thread_each(
    door: Door, iris: ModelVersion, clean_redis: redis.Redis, settings: Any
) -> None:
    """More than there are threads, and than may wait the long way."""
    settings.WAITERS_MAX = 1
    count = 2 * settings.ENV.web_threads
    asked = [door.begin("POST", PREDICT, sent(ROW), **JSON, Prefer="wait=20") for _ in range(count)]
    wait_until(lambda: len(expectations(door)) == Prediction.objects.count() == count, 10, "all wait")
    listening(clean_redis)
    run_worker(iris)

    assert [one.result(LONG).json()["status"] for one in asked] == ["succeeded"] * count
    assert expectations(door) == {}
