"""From the web server to Django: request bodies arrive complete, and responses are sent completely and closed."""

import asyncio
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site_settings
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from predictions.api.streams import STREAM_THREADS
from predictions.models import ModelVersion, Prediction
from project.urls import urlpatterns
from tests.integration.conftest import IRIS
from tests.support.door import GONE, SECONDS, Body, Door, in_chunks, open_door, scope_of, whole
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = site_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
API, FORM = "/api/v1/models/iris/predictions/", "/models/iris/predictions/"
ROW = json.dumps({"features": IRIS}).encode()
JSON = {"Content-Type": "application/json"}

# The view of the address in `OWN`. Each test sets its own view.
views: dict[str, Callable[[HttpRequest], Any]] = {}
OWN = [path(address, csrf_exempt(lambda request: views["view"](request))) for address in ("view",)]


@pytest.fixture
def door() -> Iterator[Door]:
    with open_door() as door:
        yield door


@pytest.fixture
def show(door: Door) -> Iterator[Callable[..., Any]]:
    """Sends a request to a view of the test, and returns the response."""

    def ask(view: Callable[[HttpRequest], Any], method: str = "GET", address: str = "/view", **headers: str) -> Any:
        views["view"] = view
        return door.ask(method, address, **headers)

    urlpatterns[:0] = OWN
    try:
        yield ask
    finally:
        del urlpatterns[: len(OWN)]
        views.clear()


# --- Responses ------------------------------------------------------------------------------------------------------
def test_page_has_the_headers_of_the_middleware(door: Door, iris: ModelVersion) -> None:
    answer = door.ask("GET", "/models/iris/?a=b")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<h1" in answer.content
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers.keys() >= {"content-security-policy", "x-request-id", "x-frame-options"}
    assert [message["type"] for message in answer.messages] == ["http.response.start", "http.response.body"]


def test_path_of_the_proxy_alone_is_the_first_page(door: Door, iris: ModelVersion, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/foretell"
    assert door.ask("GET", "/foretell").content == door.ask("GET", "/foretell/").content
    assert door.ask("GET", "/foretellers").status_code == 404


def test_language_chosen_without_a_referrer_leads_to_the_first_page(door: Door, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/foretell"
    answer = door.ask("POST", "/foretell/language/", b"language=de", Content_Type="application/x-www-form-urlencoded")
    assert answer.headers["location"] == "/foretell/"


def test_head_has_the_headers_of_get(door: Door, iris: ModelVersion) -> None:
    got, head = door.ask("GET", "/api/v1/models/"), door.ask("HEAD", "/api/v1/models/")

    assert (head.status_code, head.headers["content-type"]) == (200, got.headers["content-type"])
    assert got.json()["results"]


def test_response_sends_all_cookies(show: Callable[..., Any]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        response = HttpResponse(request.COOKIES["c"])
        response.set_cookie("a", "1", httponly=True)
        response.set_cookie("b", "2; 3")
        return response

    answer = show(view, Cookie="c=said")

    assert answer.content == b"said"
    assert answer.cookies == ["a=1; HttpOnly; Path=/", 'b="2\\073 3"; Path=/']


def test_request_may_have_several_cookie_headers(door: Door, show: Callable[..., Any]) -> None:
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


def test_file_response_is_complete_and_its_file_is_closed(show: Callable[..., Any]) -> None:
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
    """A static file. It must exist before the handler is created."""
    file = Path(site_settings.STATIC_ROOT) / "whole.txt"
    file.write_bytes(b"0123456789" * 30_000)
    yield file
    file.unlink()


def test_static_file_is_complete(static_file: Path, door: Door) -> None:
    answer = door.ask("GET", "/static/whole.txt")

    assert (answer.status_code, answer.content) == (200, static_file.read_bytes())
    assert len(answer.messages) > 2


class RecordedChunks:
    """An iterator of chunks that records its threads and whether it was closed."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = iter(chunks)
        self.is_closed = False
        self.threads: set[str] = set()

    def __iter__(self) -> "RecordedChunks":
        return self

    def __next__(self) -> bytes:
        self.threads.add(threading.current_thread().name)
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def close(self) -> None:
        self.is_closed = True


def test_stream_is_complete_and_made_in_one_thread(show: Callable[..., Any]) -> None:
    chunks = RecordedChunks(b"a", b"b", b"", b"c")

    answer = show(lambda request: StreamingHttpResponse(chunks))

    assert (answer.status_code, answer.content) == (200, b"abc")
    assert "content-length" not in answer.headers
    assert answer.messages[-1] == {"type": "http.response.body"}
    assert chunks.is_closed
    assert len(chunks.threads) == 1


def test_clients_that_read_nothing_delay_no_other_response(door: Door, show: Callable[..., Any]) -> None:
    """There are more of them than threads of any kind."""
    stalled, count = asyncio.Event(), site_settings.ENV.web_threads + STREAM_THREADS + 1
    chunks = [RecordedChunks(b"a", b"b") for _ in range(count)]
    unused = iter(chunks)
    views["view"] = lambda request: StreamingHttpResponse(next(unused))

    async def send(message: Any) -> None:
        if message.get("body"):
            await stalled.wait()

    asked = [door.run(door.handler(scope_of("GET", "/view"), whole(b"").receive, send)) for _ in range(count)]
    wait_until(lambda: all(one.threads for one in chunks), SECONDS, "all streams have begun")

    assert show(lambda request: HttpResponse("page")).content == b"page"
    assert show(lambda request: StreamingHttpResponse(iter([b"stream"]))).content == b"stream"
    door.loop.call_soon_threadsafe(stalled.set)
    for one in asked:
        one.result(SECONDS)
    assert all(one.is_closed for one in chunks)


@pytest.mark.parametrize("is_view_error", [True, False], ids=["view", "client"])
def test_failed_stream_is_closed_without_an_end(
    door: Door, show: Callable[..., Any], is_view_error: bool, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = RecordedChunks(b"a", OSError() if is_view_error else b"b")
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


def test_stream_stops_when_the_client_disconnects(door: Door, show: Callable[..., Any]) -> None:
    disconnected = asyncio.Event()
    chunks = RecordedChunks(*[b"a"] * 1000)
    views["view"] = lambda request: StreamingHttpResponse(chunks)
    sent: list[Any] = []
    body = whole(b"")

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            disconnected.set()

    async def receive() -> Any:
        if not body.taken:
            return await body.receive()
        await disconnected.wait()
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


# --- Requests -------------------------------------------------------------------------------------------------------
def echo(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.META.get('CONTENT_LENGTH')} {request.body.decode()}")


def test_chunked_body_is_read(door: Door, iris: ModelVersion) -> None:
    body = in_chunks(ROW[:7], b"", ROW[7:])
    door.ask("POST", API, body, **JSON)

    assert Prediction.objects.get().values == IRIS
    assert body.taken == 3


def test_chunked_body_gets_a_content_length(show: Callable[..., Any], door: Door) -> None:
    views["view"] = echo

    assert door.ask("POST", "/view", in_chunks(b"ab", b"c")).content == b"3 abc"
    assert door.ask("POST", "/view", in_chunks(b"")).content == b"None "


def test_body_at_the_limit_is_read(door: Door, iris: ModelVersion) -> None:
    answers = [door.ask("POST", API, sent, **JSON) for sent in (ROW.ljust(LIMIT), in_chunks(ROW, b" " * (LIMIT - 50)))]

    assert [answer.status_code for answer in answers] == [202, 202]


@pytest.mark.parametrize("address", [API, FORM])
def test_body_with_a_too_large_content_length_is_413_and_is_not_read(
    door: Door, iris: ModelVersion, address: str
) -> None:
    body = in_chunks(b" " * LIMIT, b" ")

    answer = door.ask("POST", address, body, Content_Length=str(LIMIT + 1), **JSON)

    assert (answer.status_code, body.taken) == (413, 0)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("address", [API, FORM])
def test_too_large_chunked_body_is_413_and_is_not_read_to_its_end(door: Door, iris: ModelVersion, address: str) -> None:
    body = in_chunks(*[b" " * (LIMIT // 4)] * 40)

    answer = door.ask("POST", address, body, **JSON)

    assert (answer.status_code, body.taken) == (413, 5)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("address", [API, FORM])
def test_client_that_disconnects_while_sending_creates_no_row(door: Door, iris: ModelVersion, address: str) -> None:
    """The received part of the body is a complete row."""
    body = Body([{"type": "http.request", "body": ROW, "more_body": True}, GONE])

    answer = door.ask("POST", address, body, **JSON)

    assert (answer.status_code, body.taken) == (400, 2)
    assert Prediction.objects.count() == 0


def test_views_run_concurrently(door: Door, show: Callable[..., Any]) -> None:
    """Each view waits until all views have started."""
    all_started = threading.Barrier(4)

    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(str(all_started.wait(SECONDS)))

    views["view"] = view
    answers = door.ask_at_once([("GET", "/view", b"", {})] * 4)

    assert sorted(answer.content for answer in answers) == [b"0", b"1", b"2", b"3"]
