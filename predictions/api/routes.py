"""Finds the operation that answers a path. Some operations run on the event loop, the others in threads."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from predictions.api import health, operations
from predictions.api.events import events
from predictions.api.http import ApiReply, ApiRequest
from predictions.api.inference_protocol import inference
from predictions.api.mcp import door
from predictions.api.threads import answer_in_thread, check_query

Operation = Callable[..., Awaitable[ApiReply]]

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# Operations that run on the event loop: the frequent ones, and liveness. Each entry has a pattern, its methods and the
# operation. The groups of the pattern are the arguments of the operation.
ON_THE_LOOP: list[tuple[re.Pattern[str], tuple[str, ...], Operation]] = [
    (re.compile(r"/api/v1/models/([-a-zA-Z0-9_]+)/predictions/"), ("POST",), operations.predict),
    (re.compile(rf"/api/v1/predictions/({_UUID})/"), ("GET", "HEAD"), operations.fetch),
    (re.compile(rf"/api/v1/predictions/({_UUID})/events/"), ("GET", "HEAD"), events),
    (re.compile(r"/v2/models/([^/]+)/infer"), ("POST",), inference.infer),
    (re.compile(r"/v2/models/([^/]+)/versions/([^/]+)/infer"), ("POST",), inference.infer),
    (re.compile(health.LIVE), ("GET", "HEAD"), health.live),
    (re.compile("/v2/health/live"), ("GET", "HEAD"), health.protocol_live),
]


async def answer(request: ApiRequest) -> ApiReply:
    """The reply of the operation, whose errors are raised."""
    for pattern, methods, operation in ON_THE_LOOP:
        if request.method in methods and (found := pattern.fullmatch(request.path)):
            if request.path.startswith("/api/"):
                check_query(request, ())
            arguments: tuple[Any, ...] = found.groups()
            return await operation(request, *arguments)
    if request.path == door.PATH:
        return await door.answer(request)
    return await answer_in_thread(request)


def normal(path: str) -> str:
    """The path with or without its last slash, as the routes have it.

    A program that forgets or adds the slash gets an answer and no redirect, which would turn its POST into a GET.
    """
    if path.startswith("/api/"):
        return path if path.endswith("/") else path + "/"
    return path.removesuffix("/")
