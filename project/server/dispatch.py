"""From the web server to Django: on the event loop what can be answered there, everything else in threads."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Any, TypeVar

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import response_for_exception
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import set_script_prefix
from django.utils.log import log_response

from predictions.api.asgi import Express
from predictions.context import request_id
from project.middleware import request_id as request_ids

Scope = MutableMapping[str, Any]
Headers = Sequence[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

# A client that takes nothing for so long frees the thread that streams to it.
STALLED_SECONDS = 30.0


class Handler(ASGIHandler):
    """Django's handler for ASGI, except that a request passes the middleware and its view in one thread of a pool.

    As under WSGI, then: a thread keeps its database connection, and what waits in one holds up nobody else.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware()
        self._threads = ThreadPoolExecutor(settings.ENV.web_threads, thread_name_prefix="request")
        self._headers = SecurityMiddleware(_no_response), XFrameOptionsMiddleware(_no_response)
        self._express: Express | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = _with_one_cookie_header(scope["headers"])
        body = await _body(scope, receive)
        if body is None:  # the client has gone
            return
        response: HttpResponseBase | None = await self._at_once(scope, body)
        if response is None:
            loop = asyncio.get_running_loop()
            client = _Client(loop, receive, send)
            response = await loop.run_in_executor(self._threads, self._in_thread, scope, body, client)
        if isinstance(response, HttpResponse):
            await send(_head(response))
            await send({"type": "http.response.body", "body": response.content})

    async def _at_once(self, scope: Scope, body: bytes) -> HttpResponse | None:
        """The answer, if it takes no thread of its own."""
        if settings.ENV.otel_exporter_otlp_endpoint:  # what draws traces sees only what passes the middleware
            return None
        if self._express is None:
            self._express = Express()
        if not self._express.takes(scope["path"]):
            return None
        request, _ = self.create_request(scope, io.BytesIO(body))
        if request is None:
            return None
        name = request_ids.name_of(request)
        request_id.set(name)
        try:
            response = await self._express.answer(request, name)
        except Exception as error:  # noqa: BLE001 - Django logs it, and says that something went wrong
            response = response_for_exception(request, error)
        if response is None:
            return None
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        response[request_ids.HEADER] = name
        for middleware in self._headers:
            response = middleware.process_response(request, response)
        return response

    def _in_thread(self, scope: Scope, body: bytes, client: "_Client") -> HttpResponseBase:
        """What streams has been sent when this returns: it may need the thread's connection."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, io.BytesIO(body))
        response = self.get_response(request) if request is not None else refusal
        assert response is not None  # noqa: S101 - there is a request or a refusal
        try:
            if not isinstance(response, HttpResponse):
                self._stream(response, client)
        finally:
            response.close()
        return response

    def _stream(self, response: Any, client: "_Client") -> None:
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        with suppress(ClientHasGone), client.listening():
            client.tell(_head(response))
            for chunk in response:
                client.tell({"type": "http.response.body", "body": chunk, "more_body": True})
            client.tell({"type": "http.response.body"})


class ClientHasGone(Exception):
    """Or reads nothing any more."""


class _Client:
    """Whoever asked, as a thread sees them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, send: Send) -> None:
        self._loop = loop
        self._receive = receive
        self._send = send
        self._leaves: Future[Mapping[str, Any]] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """After the body, the one message that may come says that the client has gone."""
        self._leaves = asyncio.run_coroutine_threadsafe(_awaited(self._receive()), self._loop)
        try:
            yield
        finally:
            self._leaves.cancel()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Raises ClientHasGone."""
        if self._leaves is not None and self._leaves.done():
            raise ClientHasGone
        sending = asyncio.run_coroutine_threadsafe(_awaited(self._send(message)), self._loop)
        try:
            sending.result(STALLED_SECONDS)
        except TimeoutError:
            sending.cancel()
            raise ClientHasGone from None


def _with_one_cookie_header(headers: Headers) -> Headers:
    """A browser may send its cookies in several (RFC 9113, section 8.2.3), which Django would join by commas."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    return [*(header for header in headers if header[0] != b"cookie"), (b"cookie", b"; ".join(cookies))]


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """None if the client has gone. No more is read than may come: whatever is longer is refused by its length.

    A body that comes in chunks, without a length that is one, is given its length: Django would take it for empty.
    """
    most, declared = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, dict(scope["headers"]).get(b"content-length", b"")
    if declared.isdigit() and int(declared) > most:
        return b""
    body, is_more_to_come = bytearray(), True
    while is_more_to_come and len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        is_more_to_come = message.get("more_body", False)
    if body and not declared.isdigit():
        others = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        scope["headers"] = [*others, (b"content-length", str(len(body)).encode())]
    return bytes(body)


def _head(response: HttpResponseBase) -> Mapping[str, Any]:
    headers = [(name.lower().encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [(b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}


async def _awaited(promised: Awaitable[T]) -> T:
    return await promised


def _no_response(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError("only the middleware's own words about a response are wanted")
