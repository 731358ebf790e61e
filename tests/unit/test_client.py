"""The client package with a server that drops connections, is unavailable, and recovers."""

import asyncio
import io
import json
import time
from collections.abc import Callable
from datetime import date
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from foretell_client import (
    Advice,
    AsyncClient,
    Classification,
    Client,
    Corrections,
    NoAnswer,
    NotFinished,
    Problem,
    Refused,
    Unreachable,
    flows,
)
from foretell_client.command_line import answer_text, option_names

Answer = httpx.Response | Exception

PREDICTION: dict[str, Any] = {
    "id": "0b1c",
    "model": "iris",
    "version": 3,
    "status": "succeeded",
    "features": {"width": 1.5},
    "output": {
        "kind": "classification",
        "label": "setosa",
        "probabilities": {"setosa": 1.0},
        "prediction_set": ["setosa"],
        "coverage": 0.9,
    },
    "advice": [{"feature": "width", "code": "above_training_range", "message": "Higher than …"}],
    "error": None,
    "retry_after": None,
    "urls": {"self": "…", "page": "http://foretell/predictions/0b1c/", "cancel": "…"},
    "added later": "and ignored",
}
QUEUED = {**PREDICTION, "status": "queued", "output": None, "retry_after": 1}
JOB: dict[str, Any] = {
    "id": "0b1c",
    "model": "iris",
    "version": 3,
    "status": "running",
    "rows": 2,
    "done": 1,
    "good": 1,
    "bad": 1,
    "seconds_left": None,
    "error": None,
    "urls": {"page": "http://foretell/batches/0b1c/"},
}
FAILURE = {"code": "model_error", "message": "The model could not …", "retryable": False}
NO_CONNECTION = httpx.ConnectError("refused")
BROKEN_CONNECTION = httpx.ReadError("cut off")


class Server:
    """Sends the given answers in order, and records the requests."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = iter(answers)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, **options: Any) -> Client:
        return Client("http://foretell/", transport=httpx.MockTransport(self), **options)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of the client. They take no time; a fake clock adds them up."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept))
    monkeypatch.setattr(flows, "time", clock)
    monkeypatch.setattr(flows, "random", SimpleNamespace(uniform=lambda low, high: high))
    return slept


def ok(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def refusal(status: int = 503, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"code": "queue_full", "detail": "Full."}, headers=headers)


# --- Requests and results -------------------------------------------------------------------------------------------
def test_predict_sends_the_row_and_reads_the_prediction() -> None:
    server = Server(ok(PREDICTION))
    with server.client(token="ft_secret") as client:
        prediction = client.predict("my iris", {"width": 1.5})
    (request,) = server.requests
    assert (request.method, str(request.url)) == ("POST", "http://foretell/api/v1/models/my%20iris/predictions/")
    assert json.loads(request.content) == {"features": {"width": 1.5}}
    assert (request.headers["Prefer"], request.headers["Authorization"]) == ("wait=5", "Bearer ft_secret")
    assert prediction.output == Classification("setosa", {"setosa": 1.0}, ["setosa"], 0.9)
    assert prediction.advice == [Advice("width", "above_training_range", "Higher than …")]
    assert prediction.page == "http://foretell/predictions/0b1c/"


@pytest.mark.parametrize(
    ("features", "sent"),
    [
        (np.array([1.5, 2.0]), [1.5, 2.0]),
        ((np.int64(1), np.float32(0.5), np.bool_(True)), [1, 0.5, True]),
        ({"a": np.float64(1.5), "b": "x"}, {"a": 1.5, "b": "x"}),
    ],
)
def test_numpy_values_are_sent_as_json_values(features: Any, sent: Any) -> None:
    server = Server(ok(PREDICTION))
    server.client().submit("iris", features)
    assert json.loads(server.requests[0].content) == {"features": sent}


@pytest.mark.parametrize(("value", "error"), [(float("nan"), ValueError), (object(), TypeError)])
def test_value_without_a_json_form_is_not_sent(value: Any, error: type[Exception]) -> None:
    server = Server()
    with pytest.raises(error):
        server.client().submit("iris", [value])
    assert server.requests == []


def test_read_timeout_includes_the_wait() -> None:
    server = Server(ok(PREDICTION), ok(PREDICTION))
    client = server.client(timeout=2)
    client.submit("iris", [1], wait=30)
    client.result("0b1c")
    assert [request.extensions["timeout"]["read"] for request in server.requests] == [32, 2]


# --- Waiting --------------------------------------------------------------------------------------------------------
def test_predict_polls_an_unfinished_prediction(pauses: list[float]) -> None:
    server = Server(ok(QUEUED, 202), ok({**QUEUED, "status": "running", "retry_after": 2}), ok(PREDICTION))
    assert server.client().predict("iris", [1]).status == "succeeded"
    assert [(request.method, request.url.path) for request in server.requests[1:]] == [
        ("GET", "/api/v1/predictions/0b1c/")
    ] * 2
    assert pauses == [1, 2]


def test_predict_raises_when_its_time_is_over() -> None:
    server = Server(ok(QUEUED, 202), *[ok(QUEUED)] * 3)
    with pytest.raises(NotFinished) as unfinished:
        server.client().predict("iris", [1], within=3.5)
    assert (unfinished.value.code, unfinished.value.prediction.id) == ("not_finished", "0b1c")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"status": "failed", "error": FAILURE}, "model_error", "The model could not …"),
        ({"status": "canceled", "error": None}, "canceled", "The prediction was canceled."),
    ],
)
def test_predict_raises_for_a_prediction_without_an_answer(change: dict[str, Any], code: str, message: str) -> None:
    ended = {**QUEUED, **change}
    with pytest.raises(NoAnswer) as failed:
        Server(ok(ended)).client().predict("iris", [1])
    assert (failed.value.code, failed.value.message) == (code, message)
    assert failed.value.prediction.status == change["status"]
    assert Server(ok(ended)).client().result("0b1c").status == change["status"]


# --- Repetitions ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "failure", [NO_CONNECTION, BROKEN_CONNECTION, httpx.ReadTimeout("slow"), refusal(502), refusal(503), refusal(429)]
)
def test_repeated_request_has_the_same_idempotency_key(failure: Answer) -> None:
    server = Server(failure, failure, ok(PREDICTION), ok(PREDICTION))
    client = server.client()
    assert client.submit("iris", [1]).id == "0b1c"
    client.submit("iris", [1])
    keys = [request.headers["Idempotency-Key"] for request in server.requests]
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]
    assert len({request.content for request in server.requests}) == 1


def test_repeated_corrections_have_the_same_idempotency_key() -> None:
    server = Server(BROKEN_CONNECTION, refusal(502), ok(JOB))
    server.client().correct("0b1c", io.BytesIO(b"line,width\n2,1.5\n"))
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 1
    assert all(b"2,1.5" in request.content for request in server.requests)


def test_pauses_grow_and_are_bounded(pauses: list[float]) -> None:
    server = Server(*[NO_CONNECTION] * 7, ok({"results": []}))
    assert server.client().models() == []
    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_pause_follows_retry_after(pauses: list[float]) -> None:
    in_nine_seconds = formatdate(time.time() + 9, usegmt=True)
    answers = [refusal(**{"Retry-After": value}) for value in ("7", in_nine_seconds, "soon")]
    Server(*answers, ok(PREDICTION)).client().submit("iris", [1])
    assert pauses == pytest.approx([7, 9, 0.8], abs=1.1)


@pytest.mark.parametrize("answer", [lambda: NO_CONNECTION, lambda: refusal(**{"Retry-After": "31"})])
def test_repetitions_end_after_patience(answer: Callable[[], Answer], pauses: list[float]) -> None:
    server = Server(*[answer() for _ in range(100)])
    with pytest.raises((Unreachable, Refused)):
        server.client(patience=30).models()
    assert sum(pauses) <= 30


def test_zero_patience_repeats_nothing(pauses: list[float]) -> None:
    with pytest.raises(Unreachable) as unreachable:
        Server(NO_CONNECTION).client(patience=0).models()
    assert (unreachable.value.code, pauses) == ("unreachable", [])


# --- Refusals -------------------------------------------------------------------------------------------------------
def test_refused_carries_the_problems_of_the_response() -> None:
    entry = {"pointer": "/features/width", "code": "wrong_type", "message": "Must be a number."}
    body = {"code": "invalid_input", "detail": "Some values need another look.", "errors": [entry]}
    server = Server(ok(body, 422))
    with pytest.raises(Refused) as refused:
        server.client().predict("iris", ["x"])
    error = refused.value
    assert (error.status, error.code, error.message) == (422, "invalid_input", "Some values need another look.")
    assert error.problems == [Problem("/features/width", "wrong_type", "Must be a number.")]
    assert str(error) == "Some values need another look. (invalid_input)\n  /features/width: Must be a number."
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", ["<h1>Not Found</h1>", "[]", ""])
def test_error_of_a_proxy_is_refused_as_unexpected(body: str) -> None:
    with pytest.raises(Refused) as refused:
        Server(httpx.Response(404, text=body)).client().result("0b1c")
    assert (refused.value.code, refused.value.message) == ("unexpected", "The server answered 404 Not Found.")


def test_cancel_with_a_lost_response_returns_the_canceled_prediction() -> None:
    canceled = {**QUEUED, "status": "canceled", "retry_after": None}
    conflict = ok({"code": "not_cancelable", "detail": "The prediction has already ended."}, 409)
    assert Server(BROKEN_CONNECTION, conflict, ok(canceled)).client().cancel("0b1c").status == "canceled"


CANCELED = {"code": "canceled", "message": "They were canceled, or their time was over."}
UNREAD = {"rows": None, "unused": None, "lines": [], "error": CANCELED}


@pytest.mark.parametrize(
    "found", [{"status": "canceled"}, {"status": "finished", "corrections": UNREAD}], ids=["file", "corrections"]
)
def test_cancel_with_a_lost_response_returns_the_canceled_job(found: dict[str, Any]) -> None:
    conflict = ok({"code": "not_cancelable", "detail": "The file has already ended."}, 409)
    answers = Server(BROKEN_CONNECTION, conflict, ok({**JOB, **found}))
    assert answers.client().cancel_job("0b1c").status == found["status"]


def test_cancel_of_a_finished_job_is_refused() -> None:
    conflict = ok({"code": "not_cancelable", "detail": "The file has already ended."}, 409)
    read = {"rows": 1, "unused": 0, "lines": [], "error": None}
    with pytest.raises(Refused):
        Server(conflict, ok({**JOB, "status": "finished", "corrections": read})).client().cancel_job("0b1c")


def test_job_names_features_without_a_column() -> None:
    assert Server(ok({**JOB, "layout": {"absent": ["note"]}})).client().job("0b1c").absent == ["note"]
    assert Server(ok(JOB)).client().job("0b1c").absent == []


def test_job_has_its_corrections() -> None:
    sent = {"rows": 3, "unused": 1, "lines": [9], "error": None}
    assert Server(ok({**JOB, "corrections": sent})).client().job("0b1c").corrections == Corrections(3, 1, [9], None)
    assert Server(ok(JOB)).client().job("0b1c").corrections is None


def test_cancel_of_a_finished_prediction_is_refused() -> None:
    conflict = ok({"code": "not_cancelable", "detail": "The prediction has already ended."}, 409)
    with pytest.raises(Refused) as refused:
        Server(conflict, ok(PREDICTION)).client().cancel("0b1c")
    assert refused.value.code == "not_cancelable"


# --- Several rows, models, feedback ---------------------------------------------------------------------------------
def test_rows_of_a_dataframe_are_sent_with_null_for_what_is_missing() -> None:
    server = Server(ok({"results": [PREDICTION, PREDICTION]}))
    frame = pd.DataFrame({"width": [1.5, float("nan")], "count": [1, 2]})
    assert len(server.client().predict_rows("iris", frame)) == 2
    assert json.loads(server.requests[0].content) == {"rows": [{"width": 1.5, "count": 1}, {"width": None, "count": 2}]}


@pytest.mark.parametrize(
    ("day", "sent"),
    [
        (pd.Timestamp("2024-05-31"), "2024-05-31"),
        (pd.Timestamp("2024-05-31 10:30"), "2024-05-31T10:30:00"),
        (date(2024, 5, 31), "2024-05-31"),
        (np.datetime64("2024-05-31", "ns"), "2024-05-31"),
        (np.datetime64("2024-05-31", "D"), "2024-05-31"),
    ],
)
def test_dates_are_sent_as_iso_dates(day: Any, sent: str) -> None:
    server = Server(*[ok({"results": [PREDICTION]})] * 3, ok(PREDICTION))
    client = server.client()
    for rows in ([{"day": day}], [[day]], pd.DataFrame({"day": [day]})):
        client.predict_rows("iris", rows)
    client.predict("iris", {"day": day})
    asked = [json.loads(request.content) for request in server.requests]
    assert asked == [*({"rows": [row]} for row in ({"day": sent}, [sent], {"day": sent})), {"features": {"day": sent}}]


def test_rows_are_sent_in_requests_of_a_thousand_and_polled_to_their_end() -> None:
    server = Server(ok({"results": [PREDICTION] * 1000}), ok({"results": [QUEUED]}, 202), ok(PREDICTION))
    found = server.client().predict_rows("iris", [[1.0]] * 1001)
    assert {one.status for one in found} == {"succeeded"}
    assert [len(json.loads(request.content)["rows"]) for request in server.requests[:2]] == [1000, 1]


def test_version_is_sent_beside_the_features() -> None:
    server = Server(ok(PREDICTION))
    server.client().predict("iris", [1], version="previous")
    assert json.loads(server.requests[0].content) == {"features": [1], "version": "previous"}


def test_feedback_is_put_and_read() -> None:
    given = {"was_right": None, "actual": "setosa", "comment": ""}
    server = Server(ok({"prediction": "0b1c", **given}), ok({**PREDICTION, "feedback": given}))
    client = server.client()
    assert client.give_feedback("0b1c", actual="setosa").actual == "setosa"
    assert (server.requests[0].method, json.loads(server.requests[0].content)) == ("PUT", given)
    found = client.result("0b1c").feedback
    assert found
    assert found.actual == "setosa"


def test_list_follows_its_pages() -> None:
    pages = [
        {"results": [PREDICTION] * 2, "next": "http://foretell/api/v1/predictions/?cursor=x"},
        {"results": [PREDICTION], "next": None},
    ]
    server = Server(*map(ok, pages))
    assert len(server.client().predictions(status="succeeded,failed")) == 3
    assert str(server.requests[0].url).endswith("/predictions/?status=succeeded%2Cfailed")


def test_removed_prediction_whose_response_was_lost_is_removed() -> None:
    Server(BROKEN_CONNECTION, ok({"code": "removed", "detail": "Gone."}, 410)).client().remove("0b1c")


# --- Coroutines -----------------------------------------------------------------------------------------------------
def test_async_client_repeats_and_polls_like_the_other(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("foretell_client.async_client.asyncio", SimpleNamespace(sleep=sleep))
    server = Server(NO_CONNECTION, ok(QUEUED, 202), ok(PREDICTION))

    async def ask() -> Any:
        async with AsyncClient("http://foretell/", transport=httpx.MockTransport(server)) as client:
            return await client.predict("iris", [1])

    assert asyncio.run(ask()).output.label == "setosa"
    assert pauses == [0.2, 1]


def test_async_client_raises_what_the_other_raises() -> None:
    async def ask() -> Any:
        transport = httpx.MockTransport(Server(ok({"code": "not_found", "detail": "No."}, 404)))
        async with AsyncClient("http://foretell/", transport=transport) as client:
            return await client.model("nothing")

    with pytest.raises(Refused):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "> 99.9%"), (0.9996, "> 99.9%"), (0.996, "99.6%"), (0.5, "50%"), (0.004, "0.4%"), (0.0, "< 0.1%")],
)
def test_probability_on_the_command_line_is_never_certain(share: float, text: str) -> None:
    assert answer_text(Classification("a", {"a": share}, None, None)) == f"a ({text})"


# --- The command line -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("features", "names"),
    [
        (["sepal length (cm)", "age"], ["--sepal-length", "--age"]),
        (["size (cm)", "size (kg)"], ["--size-cm", "--size-kg"]),
        (["長さ", "json", "a b", "a-b"], ["--feature-0", "--feature-1", "--feature-2", "--feature-3"]),
    ],
)
def test_options_are_named_after_features(features: list[str], names: list[str]) -> None:
    assert list(option_names(features).values()) == names
