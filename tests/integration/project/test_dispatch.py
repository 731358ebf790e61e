"""From the web server to Django: what comes in whole goes in whole, what goes out is closed."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from predictions.models import ModelVersion, Prediction
from project.urls import urlpatterns
from tests.integration.conftest import IRIS
from tests.support.door import GONE, SECONDS, Body, Door, in_chunks, open_door, scope_of, whole

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
API, FORM = "/api/v1/models/iris/predictions/", "/models/iris/predictions/"
ROW = json.dumps({"features": IRIS}).encode()
JSON = {"Content-Type": "application/json"}

# The views of this module's own addresses, by their names; each test puts in what it needs.
views: dict[str, Callable[[HttpRequest], Any]] = {}
OWN = [path(address, csrf_exempt(lambda request: views["view"](request))) for address in ("view",)]


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as door:
        yield door


@pytest.fixture
def show(door: Door) -> Iterator[Callable[..., Any]]:
    """The answer to a request that a view of the test's own answers."""

    def ask(view: Callable[[HttpRequest], Any], method: str = "GET", address: str = "/view", **headers: str) -> Any:
        views["view"] = view
        return door.ask(method, address, **headers)

    urlpatterns[:0] = OWN
    try:
        yield ask
    finally:
        del urlpatterns[: len(OWN)]
        views.clear()


# --- What goes out ----------------------------------------------------------------------------------------------------
def test_page_is_answered_with_all_that_the_middleware_adds(door: Door, iris: ModelVersion) -> None:
    answer = door.ask("GET", "/models/iris/?a=b")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<h1" in answer.content
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers.keys() >= {"content-security-policy", "x-request-id", "x-frame-options"}
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]


def test_head_is_get_without_a_body(door: Door, iris: ModelVersion) -> None:
    got, head = door.ask("GET", "/api/v1/models/"), door.ask("HEAD", "/api/v1/models/")

    assert (head.status_code, head.headers["content-type"]) == (200, got.headers["content-type"])
    assert got.json()["results"]


def test_all_cookies_are_sent(show: Callable[..., Any]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(request.COOKIES["c"])
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2; 3")
        return response

    answer = show(view, Cookie="c=said")

    assert answer.content == b"said"
    assert answer.cookies == ["a=1; HttpOnly; Path=/", 'b="2\\073 3"; Path=/']


def test_cookies_may_come_in_several_headers(door: Door, show: Callable[..., Any]) -> None:
    views["view"] = lambda request: HttpResponse(" ".join(f"{name}={said}" for name, said in request.COOKIES.items()))
    scope = scope_of("GET", "/view")
    scope["headers"] += [(b"cookie", b"a=1"), (b"cookie", b"b=2; c=3")]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    door.run(door.handler(scope, whole(b"").receive, send)).result(SECONDS)

    assert sent[1]["body"] == b"a=1 b=2 c=3"


def test_api_that_is_not_there_is_framed_by_nobody(door: Door, iris: ModelVersion) -> None:
    answer = door.ask("GET", "/api/nope/")

    assert (answer.status_code, answer.headers["x-frame-options"]) == (404, "DENY")


def test_file_arrives_whole_and_is_closed(show: Callable[..., Any]) -> None:
    content = bytes(range(256)) * 1000
    file = io.BytesIO(content)

    answer = show(lambda request: FileResponse(file, filename="all.bin", as_attachment=True))

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-disposition"] == 'attachment; filename="all.bin"'
    assert [message.get("more_body", False) for message in answer.messages[1:]] == [True, True, True, True, False]
    assert file.closed


@pytest.fixture
def static_file() -> Iterator[Path]:
    """Found when a handler is made."""
    file = Path(settings.STATIC_ROOT) / "whole.txt"
    file.write_bytes(b"0123456789" * 30_000)
    yield file
    file.unlink()


def test_static_file_arrives_whole(static_file: Path, door: Door) -> None:
    answer = door.ask("GET", "/static/whole.txt")

    assert (answer.status_code, answer.content) == (200, static_file.read_bytes())
    assert len(answer.messages) > 2


class Closed:
    """Chunks, and whether somebody closed them."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = iter(chunks)
        self.is_closed = False
        self.threads: set[str] = set()

    def __iter__(self) -> "Closed":
        return self

    def __next__(self) -> bytes:
        self.threads.add(threading.current_thread().name)
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.is_closed = True


def test_stream_arrives_whole_and_is_closed_by_the_thread_that_began_it(show: Callable[..., Any]) -> None:
    chunks = Closed(b"a", b"b", b"", b"c")
    began: list[str] = []

    def view(request: HttpRequest) -> StreamingHttpResponse:
        began.append(threading.current_thread().name)
        return StreamingHttpResponse(chunks)

    answer = show(view)

    assert (answer.status_code, answer.content) == (200, b"abc")
    assert "content-length" not in answer.headers
    assert answer.messages[-1] == {"type": "http.response.body"}
    assert chunks.is_closed
    assert chunks.threads == set(began)


@pytest.mark.parametrize("is_ours", [True, False], ids=["ours", "the client's"])
def test_stream_that_breaks_off_is_closed_and_has_no_end(
    door: Door, show: Callable[..., Any], is_ours: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = Closed(b"a", OSError() if is_ours else b"b")
    views["view"] = lambda request: StreamingHttpResponse(chunks)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message.get("body") == b"b":
            raise OSError

    asked = door.run(door.handler(scope_of("GET", "/view"), whole(b"").receive, send))

    assert isinstance(asked.exception(SECONDS), OSError)
    assert chunks.is_closed
    assert all(message.get("more_body", True) for message in sent)


def test_client_that_leaves_is_streamed_to_no_longer(door: Door, show: Callable[..., Any]) -> None:
    left = asyncio.Event()
    chunks = Closed(*[b"a"] * 1000)
    views["view"] = lambda request: StreamingHttpResponse(chunks)
    sent: list[Any] = []
    body = whole(b"")

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            left.set()

    async def receive() -> Any:
        if not body.taken:
            return await body.receive()
        await left.wait()
        return GONE

    door.run(door.handler(scope_of("GET", "/view"), receive, send)).result(SECONDS)

    assert chunks.is_closed
    assert 3 <= len(sent) < 1000


def test_error_in_a_view_is_500_without_its_text(show: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        raise RuntimeError("hunter2")

    page = show(view)

    assert page.status_code == 500
    assert b"<h1>" in page.content
    assert b"hunter2" not in page.content
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [RuntimeError]


# --- What comes in ----------------------------------------------------------------------------------------------------
def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.META.get('CONTENT_LENGTH')} {request.body.decode()}")


def test_body_in_chunks_without_a_length_is_read(door: Door, iris: ModelVersion) -> None:
    body = in_chunks(ROW[:7], b"", ROW[7:])
    door.ask("POST", API, body, **JSON)

    assert Prediction.objects.get().values == IRIS
    assert body.taken == 3


def test_body_in_chunks_is_given_its_length(show: Callable[..., Any], door: Door) -> None:
    views["view"] = echo

    assert door.ask("POST", "/view", in_chunks(b"ab", b"c")).content == b"3 abc"
    assert door.ask("POST", "/view", in_chunks(b"")).content == b"None "


def test_body_that_is_as_long_as_may_be_is_read(door: Door, iris: ModelVersion) -> None:
    answers = [door.ask("POST", API, sent, **JSON) for sent in (ROW.ljust(LIMIT), in_chunks(ROW, b" " * (LIMIT - 50)))]

    assert [answer.status_code for answer in answers] == [202, 202]


@pytest.mark.parametrize("door_address", [API, FORM])
def test_body_that_says_it_is_too_long_is_413_and_is_not_read(
    door: Door, iris: ModelVersion, door_address: str
) -> None:
    body = in_chunks(b" " * LIMIT, b" ")

    answer = door.ask("POST", door_address, body, Content_Length=str(LIMIT + 1), **JSON)

    assert (answer.status_code, body.taken) == (413, 0)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("door_address", [API, FORM])
def test_body_in_chunks_that_is_too_long_is_413_and_is_not_read_to_its_end(
    door: Door, iris: ModelVersion, door_address: str
) -> None:
    body = in_chunks(*[b" " * (LIMIT // 4)] * 40)

    answer = door.ask("POST", door_address, body, **JSON)

    assert (answer.status_code, body.taken) == (413, 5)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("door_address", [API, FORM])
def test_client_that_goes_away_while_it_sends_gets_no_answer_and_no_row(
    door: Door, iris: ModelVersion, door_address: str
) -> None:
    """Even if what it has sent would be a row."""
    body = Body([{"type": "http.request", "body": ROW, "more_body": True}, GONE])

    answer = door.ask("POST", door_address, body, **JSON)

    assert (answer.messages, body.taken) == ([], 2)
    assert Prediction.objects.count() == 0


def test_requests_are_answered_at_one_time(door: Door, show: Callable[..., Any]) -> None:
    """Each in a thread of its own: none of them is let go on before all are there."""
    all_there = threading.Barrier(4)

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(all_there.wait(SECONDS)))

    views["view"] = view
    answers = door.ask_at_once([("GET", "/view", b"", {})] * 4)

    assert sorted(answer.content for answer in answers) == [b"0", b"1", b"2", b"3"]
