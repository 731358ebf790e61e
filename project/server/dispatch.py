"""The ASGI application of the site: the API answers its own paths, Django's pages answer all others in threads."""

import asyncio
import io
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from predictions.api.asgi import Application, BrokenBody, read_body, takes
from predictions.api.http import Receive, Scope, Send

Headers = Sequence[tuple[bytes, bytes]]
T = TypeVar("T")

# A client that takes nothing for this long frees the thread that streams to it.
STALLED_SECONDS = 30.0


class Site:
    """ASGI 3.0."""

    def __init__(self) -> None:
        self.api = Application()
        self.pages = Pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A proxy in front may take FORCE_SCRIPT_NAME off the path, or leave it there."""
        prefix = settings.FORCE_SCRIPT_NAME or ""
        path = scope["path"].removeprefix(prefix) if scope["path"].startswith(f"{prefix}/") else scope["path"]
        if takes(path):
            await self.api({**scope, "path": path}, receive, send)
        else:
            await self.pages({**scope, "path": prefix + path, "root_path": prefix}, receive, send)


class Pages(ASGIHandler):
    """Django's handler for ASGI, except that a request passes the middleware and its view in one thread of a pool.

    A thread keeps its database connection, as under WSGI, and a request that waits holds up no other. Django's own
    handler would change threads for each middleware; a bridge from ASGI to WSGI bounds neither a body nor a client
    that stops reading.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware()
        self.threads = ThreadPoolExecutor(settings.ENV.web_threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = _with_one_cookie_header(scope["headers"])
        try:
            body = await read_body(
                {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}, receive
            )
        except BrokenBody:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"The body did not come to its end."})
            return
        _declare_length(scope, body)
        loop = asyncio.get_running_loop()
        client = _Client(loop, receive, send)
        response = await loop.run_in_executor(self.threads, self._in_thread, scope, body, client)
        if isinstance(response, HttpResponse):
            await send(_head(response))
            await send({"type": "http.response.body", "body": response.content})

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


def _declare_length(scope: Scope, body: bytes) -> None:
    """A body that came in chunks has no length, and Django would take it for empty."""
    others = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    if body:
        scope["headers"] = [*others, (b"content-length", str(len(body)).encode())]


def _head(response: HttpResponseBase) -> Mapping[str, Any]:
    headers = [(name.lower().encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [(b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}


async def _awaited(promised: Awaitable[T]) -> T:
    return await promised
