"""The ASGI application of the site: the API answers its own paths, Django's pages answer all others in threads."""

import asyncio
import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import IO, Any, cast

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

from predictions.api.asgi import Application, read_body, takes
from predictions.api.http import Chunks, Receive, Scope, Send
from predictions.api.streams import streams
from predictions.api.uploads import BROKEN_BODY, BrokenBody, receive_file, size_of
from predictions.batches.limits import most_bytes, takes_file
from project.middleware.uploads import ANNOUNCED

Headers = Sequence[tuple[bytes, bytes]]


class Site:
    """The ASGI 3.0 application."""

    def __init__(self) -> None:
        self.api = Application()
        self.pages = Pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. A proxy in front may remove FORCE_SCRIPT_NAME from the path, or leave it there."""
        prefix = settings.FORCE_SCRIPT_NAME or ""
        path = _without(prefix, scope["path"])
        if takes(path):
            if prefix:  # the API adds it itself, in `ApiRequest.origin`
                set_script_prefix("/")
                scope = {**scope, "path": path}
            await self.api(scope, receive, send)
        else:
            await self.pages({**scope, "path": prefix + path, "root_path": prefix}, receive, send)


class Pages(ASGIHandler):
    """Django's handler for ASGI, except that one thread of a pool runs the middleware and the view of a request.

    A thread keeps its database connection, as under WSGI, and a request that waits blocks no other request. Django's
    own handler would change threads for each middleware. A bridge from ASGI to WSGI would limit neither the size of a
    body nor the time of a client that stops reading. No thread is occupied while a response is sent, because the client
    decides how long that takes.
    """

    def __init__(self) -> None:
        BaseHandler.__init__(self)
        self.load_middleware()
        self.threads = ThreadPoolExecutor(settings.ENV.web_threads, thread_name_prefix="request")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = _with_one_cookie_header(scope["headers"])
        path = scope["path"].removeprefix(scope["root_path"])
        is_file = scope["method"] == "POST" and takes_file(path)
        if is_file:  # the sender of a file is checked before the file is received
            refusal = await self._answer({**scope, ANNOUNCED: True}, io.BytesIO())
            if refusal.status_code != HTTPStatus.CONTINUE:
                await _send(refusal, receive, send)
                return
        try:
            body = await _receive(scope, receive, most_bytes(path) if is_file else None)
        except BrokenBody:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": BROKEN_BODY.encode()})
            return
        # No page reads the body of a GET.
        if scope["method"] != "GET" and not any(name == b"content-length" for name, _ in scope["headers"]):
            _declare_length(scope, size_of(body))
        with body:
            response = await self._answer(scope, body)
        await _send(response, receive, send)

    def create_request(self, scope: Mapping[str, Any], body_file: IO[bytes]) -> Any:
        """Build the request even if its Content-Type cannot be parsed, which makes Django fail. The middleware
        `BodyLimits` then refuses the request.
        """
        try:
            return super().create_request(scope, body_file)
        except ValueError:
            others = [header for header in scope["headers"] if header[0] != b"content-type"]
            unreadable = [value for name, value in scope["headers"] if name == b"content-type"]
            request, refusal = super().create_request({**scope, "headers": others}, body_file)
            if request is not None:
                request.META["CONTENT_TYPE"] = b",".join(unreadable).decode("latin-1")
            return request, refusal

    async def _answer(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        return await asyncio.get_running_loop().run_in_executor(self.threads, self._in_thread, scope, body)

    def _in_thread(self, scope: Scope, body: IO[bytes]) -> HttpResponseBase:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response = self.get_response(request) if request is not None else refusal
        assert response is not None  # noqa: S101 - there is a request or a refusal
        if isinstance(response, HttpResponse):
            response.close()
        elif isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        return response


def _without(prefix: str, path: str) -> str:
    return path.removeprefix(prefix) or "/" if f"{path}/".startswith(f"{prefix}/") else path


async def _receive(scope: Scope, receive: Receive, most: int | None) -> IO[bytes]:
    """The body of a request. If `most` is given, the body may be a file: a large one goes to the disk, and little more
    than `most` bytes of it are read. Raises BrokenBody if the body is incomplete."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if most is None:
        return io.BytesIO(await read_body(headers, receive))
    return await receive_file(headers, receive, most)


async def _send(response: HttpResponseBase, receive: Receive, send: Send) -> None:
    if isinstance(response, HttpResponse):
        await send(_head(response))
        await send({"type": "http.response.body", "body": response.content})
    else:
        await streams.send(_head(response), cast(Chunks, response), receive, send)


def _with_one_cookie_header(headers: Headers) -> Headers:
    """Join cookie headers by semicolons. A browser may send several (RFC 9113, section 8.2.3). Django uses commas."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    return [*(header for header in headers if header[0] != b"cookie"), (b"cookie", b"; ".join(cookies))]


def _declare_length(scope: Scope, size: int) -> None:
    """Add the Content-Length that a body in chunks does not have. Without it Django would treat the body as empty."""
    if size:
        scope["headers"] = [*scope["headers"], (b"content-length", str(size).encode())]


def _head(response: HttpResponseBase) -> Mapping[str, Any]:
    headers = [(name.lower().encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [(b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}
