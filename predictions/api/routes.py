"""From an address to the operation that answers it: the frequent ones here, on the event loop; the rest in threads."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from predictions.api import operations
from predictions.api.http import ApiReply, ApiRequest
from predictions.api.inference_protocol import inference
from predictions.api.threads import answer_in_thread, options_reply
from predictions.serving.schema.errors import MethodNotAllowed

Operation = Callable[..., Awaitable[ApiReply]]

_UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# Pattern, methods, operation. The groups of the pattern are the operation's arguments.
FREQUENT: list[tuple[re.Pattern[str], tuple[str, ...], Operation]] = [
    (re.compile(r"/api/v1/models/([-a-zA-Z0-9_]+)/predictions/?"), ("POST",), operations.predict),
    (re.compile(rf"/api/v1/predictions/({_UUID})/"), ("GET", "HEAD"), operations.fetch),
    (re.compile(r"/v2/models/([^/]+)/infer"), ("POST",), inference.infer),
    (re.compile(r"/v2/models/([^/]+)/versions/([^/]+)/infer"), ("POST",), inference.infer),
]


async def answer(request: ApiRequest) -> ApiReply:
    """Raises MethodNotAllowed, and what the operation raises."""
    for pattern, methods, operation in FREQUENT:
        if found := pattern.fullmatch(request.path):
            if request.method == "OPTIONS":
                return options_reply(methods)
            if request.method not in methods:
                raise MethodNotAllowed(request.method, methods)
            arguments: tuple[Any, ...] = found.groups()
            return await operation(request, *arguments)
    return await answer_in_thread(request)
