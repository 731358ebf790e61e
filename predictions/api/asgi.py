"""The API as an ASGI application: every request passes the same layers, then one operation answers it.

`LAYERS` is the one place where request ids, security headers, the error format, authentication and permissions are
configured. Nothing under the API's paths is answered without them.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache, partial, reduce

from django.conf import settings

from predictions.api import health, layers, problems
from predictions.api.codings import codings_for, compress
from predictions.api.http import (
    IDENTITY,
    ApiReply,
    ApiRequest,
    Handler,
    Layer,
    Receive,
    Scope,
    Send,
    coding_of,
    content_length,
)
from predictions.api.routes import answer, normal
from predictions.api.streams import streams
from predictions.api.uploads import BrokenBody
from predictions.batches.limits import takes_file
from predictions.use_cases.addresses import client_ip

PREFIXES = ("/api/", "/v2/", "/mcp/")
WHOLE_PATHS = ("/v2", "/mcp", health.LIVE)
# The documentation of the API is a page of the site, which Django answers.
PAGES = ("/api/v1/docs/",)

# From the outermost to the innermost.
LAYERS: Sequence[Layer] = (
    layers.identify_request,
    compress,
    layers.cross_origin,
    layers.add_security_headers,
    layers.format_errors,
    layers.check_host,
    layers.redirect_to_https,
    layers.check_body,
    layers.authenticate,
    layers.authorize,
    layers.add_rate_limit,
)


def takes(path: str) -> bool:
    """Whether a path belongs to the API."""
    return (path.startswith(PREFIXES) or path in WHOLE_PATHS) and not path.startswith(PAGES)


class Application:
    """An ASGI 3.0 application. A request whose body ends early has no effect."""

    def __init__(self, chain: Sequence[Layer] = LAYERS) -> None:
        innermost: Handler = answer
        self._handle = reduce(lambda handler, layer: partial(layer, handler), reversed(chain), innermost)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        request = _request(scope, headers)
        if scope["method"] == "POST" and takes_file(request.path):
            request.receive = receive  # a file is received after its caller is authenticated
        else:
            await _fill(request, receive)
        reply = await self._handle(request)
        is_head = scope["method"] == "HEAD"
        if reply.stream is None or is_head:
            await _send(reply, is_head, receive, send)
        else:
            await _send_events(reply, reply.stream, receive, send)


async def _fill(request: ApiRequest, receive: Receive) -> None:
    try:
        codings = codings_for(request.method, request.path)
        request.body = await read_body(request.headers, receive, codings)
    except BrokenBody:
        request.is_broken = True


async def read_body(headers: Mapping[str, str], receive: Receive, codings: Sequence[str] = (IDENTITY,)) -> bytes:
    """The body, up to the limit. A body that is too long, or has a coding that is not among `codings`, is not read to
    its end: the layer `check_body` refuses it.

    Raises:
        BrokenBody: the body ended early.
    """
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if content_length(headers) > most or coding_of(headers) not in codings:
        return b""
    body, is_more_to_come = bytearray(), True
    while is_more_to_come and len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BrokenBody
        body += message.get("body", b"")
        is_more_to_come = message.get("more_body", False)
    return bytes(body)


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _request(scope: Scope, headers: dict[str, str]) -> ApiRequest:
    scheme = headers.get("x-forwarded-proto", "") if settings.BEHIND_PROXY else scope["scheme"]
    remote = scope["client"][0] if scope.get("client") else ""
    address = client_ip(remote, headers.get("x-forwarded-for", ""))
    return ApiRequest(scope, scope["method"], normal(scope["path"]), headers, b"", scheme == "https", address)


async def _send_events(reply: ApiReply, pieces: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send pieces until the end, or until the client disconnects. After the body, no other message can come from it."""
    left = asyncio.ensure_future(receive())
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": _lines(reply)})
        async for piece in pieces:
            if left.done():
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()
        await pieces.aclose()  # type: ignore[attr-defined]  # a generator: it frees what it holds at once


def _lines(reply: ApiReply) -> list[tuple[bytes, bytes]]:
    return [(_encoded_name(name), value.encode("latin-1")) for name, value in reply.headers.items()]


@cache
def _encoded_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


async def _send(reply: ApiReply, is_head: bool, receive: Receive, send: Send) -> None:
    lines = _lines(reply)
    if not isinstance(reply.content, bytes):
        start = {"type": "http.response.start", "status": reply.status, "headers": lines}
        await streams.send(start, reply.content, receive, send, is_head=is_head)
        return
    if reply.status not in (problems.NOT_MODIFIED, problems.NO_CONTENT):
        lines.append((b"content-length", str(len(reply.content)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if is_head else reply.content})
