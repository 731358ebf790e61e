"""The API as an ASGI application: every request passes the same layers, then one operation answers it.

`LAYERS` is the one place where request ids, security headers, the error format, authentication and permissions are
configured. Nothing under the API's paths is answered without them.
"""

from collections.abc import Sequence
from functools import partial, reduce

from django.conf import settings

from predictions.api import layers, problems
from predictions.api.http import ApiReply, ApiRequest, Handler, Layer, Receive, Scope, Send, content_length
from predictions.api.routes import answer
from predictions.api.streams import streams
from predictions.api.uploads import ClientLeft
from predictions.batches.limits import takes_file
from predictions.use_cases.addresses import client_ip

PREFIXES = ("/api/", "/v2/")
# Swagger's page is a page of the site.
PAGES = ("/api/v1/docs/",)

# From the outermost to the innermost.
LAYERS: Sequence[Layer] = (
    layers.identify_request,
    layers.add_security_headers,
    layers.format_errors,
    layers.check_host,
    layers.redirect_to_https,
    layers.check_body,
    layers.authenticate,
    layers.authorize,
)


def takes(path: str) -> bool:
    """Whether a path belongs to the API."""
    return (path.startswith(PREFIXES) or path == "/v2") and not path.startswith(PAGES)


class Application:
    """ASGI 3.0. A request whose client leaves before its body is complete has no effect."""

    def __init__(self, chain: Sequence[Layer] = LAYERS) -> None:
        innermost: Handler = answer
        self._handle = reduce(lambda handler, layer: partial(layer, handler), reversed(chain), innermost)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        is_file = scope["method"] == "POST" and takes_file(scope["path"])
        try:
            body = b"" if is_file else await read_body(headers, receive)
            request = _request(scope, headers, body)
            # A file is received when its sender is known.
            request.receive = receive if is_file else None
            reply = await self._handle(request)
        except ClientLeft:
            return
        await _send(reply, scope["method"] == "HEAD", receive, send)


async def read_body(headers: dict[str, str], receive: Receive) -> bytes:
    """The body, of which no more is read than may come: the layer `check_body` refuses a longer one.

    Raises:
        ClientLeft: before the body was complete.
    """
    most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if content_length(headers) > most or headers.get("content-encoding", "identity").lower() != "identity":
        return b""
    body, is_more_to_come = bytearray(), True
    while is_more_to_come and len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body += message.get("body", b"")
        is_more_to_come = message.get("more_body", False)
    return bytes(body)


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def _request(scope: Scope, headers: dict[str, str], body: bytes) -> ApiRequest:
    scheme = headers.get("x-forwarded-proto", "") if settings.ENV.behind_proxy else scope["scheme"]
    remote = scope["client"][0] if scope.get("client") else ""
    address = client_ip(remote, headers.get("x-forwarded-for", ""))
    return ApiRequest(scope, scope["method"], scope["path"], headers, body, scheme == "https", address)


async def _send(reply: ApiReply, is_head: bool, receive: Receive, send: Send) -> None:
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    if not isinstance(reply.content, bytes):
        start = {"type": "http.response.start", "status": reply.status, "headers": lines}
        await streams.send(start, reply.content, receive, send, is_head=is_head)
        return
    if reply.status != problems.NOT_MODIFIED:
        lines.append((b"content-length", str(len(reply.content)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if is_head else reply.content})
