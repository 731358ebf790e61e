"""The less frequent operations: views of REST framework, each in a thread of a bounded pool.

No middleware of Django runs for them: the layers of `predictions.api.asgi` have done its work.
"""

import asyncio
import contextvars
import io
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, TypeVar, cast
from urllib.parse import parse_qs

from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import resolve
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from predictions.api.http import ApiReply, ApiRequest, Chunks, Receive, content_length
from predictions.api.prediction_body import pointer_to
from predictions.api.uploads import BROKEN_BODY, BrokenBody, receive_file, size_of
from predictions.batches.limits import limit_text, most_bytes
from predictions.batches.uploads import check_upload
from predictions.serving.schema.errors import InvalidInput, NotFound, Problem
from predictions.serving.schema.request_errors import BadRequest, FileTooLarge, MethodNotAllowed
from predictions.serving.schema.wording import printable
from predictions.use_cases.callers import Caller

T = TypeVar("T")

threads = ThreadPoolExecutor(8, thread_name_prefix="api")


async def answer_in_thread(request: ApiRequest) -> ApiReply:
    if request.receive is not None:
        await in_thread(_check_upload, request)
        request.file = await _receive(request, request.receive)
    try:
        return await in_thread(_answer, request)
    finally:
        if request.file is not None:
            request.file.close()


def _check_upload(request: ApiRequest) -> None:
    """Check an upload before it is received. An Idempotency-Key may find an earlier job, so no new job is counted."""
    has_key = "idempotency-key" in request.headers
    length = content_length(request.headers)
    check_upload(request.path, length, request.caller, makes_job=not has_key, has_key=has_key)


async def in_thread(call: Callable[..., T], *args: Any) -> T:
    """Call in the pool, with the request's id and a database connection that is not too old."""
    context = contextvars.copy_context()
    return await asyncio.get_running_loop().run_in_executor(threads, context.run, _with_connection, call, *args)


def _with_connection(call: Callable[..., T], *args: Any) -> T:
    close_old_connections()
    return call(*args)


async def _receive(request: ApiRequest, receive: Receive) -> IO[bytes]:
    try:
        return await receive_file(request.headers, receive, most_bytes(request.path))
    except BrokenBody:
        raise BadRequest(BROKEN_BODY) from None


def _answer(request: ApiRequest) -> ApiReply:
    scope = {**request.scope, "path": request.prefix + request.path, "root_path": request.prefix}
    django_request: Any = ASGIRequest(scope, request.file or io.BytesIO(request.body))
    if request.file:  # a body that came in chunks declares no length, so Django would treat it as empty
        django_request.META["CONTENT_LENGTH"] = str(checked_size(request.file, request.path))
    django_request.api = request
    django_request.user = request.caller.user or AnonymousUser()
    match = resolve(django_request.path_info)
    if match.url_name == "api-nothing":
        raise NotFound
    if "anything" in match.kwargs:
        raise NotFound(f"{request.method} {printable(request.path)} is not offered here.")
    if request.path.startswith("/api/"):
        check_query(request, getattr(match.func, "query_parameters", ()))
    if request.method == "OPTIONS":
        return options_reply(_methods(match.func))
    if request.method not in _methods(match.func):
        raise MethodNotAllowed(request.method, _methods(match.func))
    response: HttpResponse = match.func(django_request, *match.args, **match.kwargs)
    if isinstance(response, SimpleTemplateResponse):
        response.render()
    content = cast(Chunks, response) if response.streaming else response.content
    return ApiReply(response.status_code, content, dict(response.items()))


def checked_size(file: IO[bytes], path: str) -> int:
    """The size of a file. Raises FileTooLarge, which is possible if the length was not declared."""
    if (size := size_of(file)) > most_bytes(path):
        raise FileTooLarge(limit_text())
    return size


def check_query(request: ApiRequest, known: Collection[str]) -> None:
    """Raises InvalidInput for a parameter that the operation does not have. So a misspelled filter is not ignored."""
    if not request.scope["query_string"]:
        return
    given = parse_qs(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if unknown := [printable(name) for name in sorted(given) if name not in known]:
        message = f"There is no such query parameter. There is: {', '.join(sorted(known)) or 'none'}."
        raise InvalidInput([Problem(None, "unknown_parameter", message, pointer_to(name)) for name in unknown[:20]])


def options_reply(methods: Sequence[str]) -> ApiReply:
    """The reply to OPTIONS (RFC 9110, section 9.3.7)."""
    return ApiReply(204, headers={"Allow": ", ".join([*methods, "OPTIONS"])})


def _methods(view: Any) -> list[str]:
    """The methods of a view of REST framework, without OPTIONS, which the framework adds."""
    offered = [name.upper() for name in view.cls.http_method_names if hasattr(view.cls, name) and name != "options"]
    return [*offered, "HEAD"] if "GET" in offered and "HEAD" not in offered else offered


def request_of(request: Request) -> ApiRequest:
    """The API's own request that a request of the framework was made from."""
    own: ApiRequest = request._request.api  # type: ignore[attr-defined]
    return own


def caller_of(request: Request) -> Caller:
    return request_of(request).caller


class CallerAuthentication(BaseAuthentication):
    """Gives REST framework the caller that the layer `authenticate` found. It checks nothing itself."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        user = caller_of(request).user
        return None if user is None else (user, None)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def reraise(error: Exception, context: Any) -> None:
    """REST framework's exception handler. None lets the error go on to the layer `format_errors`."""
    return
