"""POST /mcp: one JSON-RPC message in, one JSON answer out. Nothing is kept between requests.

The layers of the API have identified the caller. The SDK takes about 30 MB and half a second, so a web process loads
it with its first request.
"""

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.conf import settings

from predictions.api.http import ApiReply, ApiRequest
from predictions.api.threads import check_query, options_reply
from predictions.serving.schema.errors import NotInstalled
from predictions.serving.schema.request_errors import ForeignOrigin, MethodNotAllowed

PATH = "/mcp"
METHODS = ["POST"]
REMEDY = "The package mcp is not installed here. Install it: make mcp, or pip install -r requirements/mcp.txt."


async def answer(request: ApiRequest) -> ApiReply:
    """Answer a request.

    Raises:
        MethodNotAllowed: it is no POST. There are no sessions to end, and no streams to open.
        InvalidInput: it has a query parameter.
        ForeignOrigin: it comes from a page of another site.
        NotInstalled: the package `mcp` is missing.
    """
    if request.method == "OPTIONS":
        return options_reply(METHODS)
    if request.method not in METHODS:
        raise MethodNotAllowed(request.method, METHODS)
    check_query(request, ())
    _check_origin(request)
    server = await asyncio.to_thread(_load_server)
    reply: ApiReply = await server.answer(request)
    return reply


def _check_origin(request: ApiRequest) -> None:
    """Refuse a page of another site, which could use a visitor's network access (MCP, transports, security warning)."""
    origin, known = request.headers.get("origin"), settings.CORS_ALLOWED_ORIGINS
    own = request.origin.removesuffix(request.prefix)
    if origin is not None and origin != own and origin not in known and "*" not in known:
        raise ForeignOrigin


def _load_server() -> Any:
    if find_spec("mcp") is None:
        raise NotInstalled(REMEDY)
    return import_module("predictions.api.mcp.server")
