"""The layers that every request of the API passes before its operation. `predictions.api.asgi.LAYERS` orders them."""

import logging
import random
import re
from functools import cache, lru_cache
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware

from predictions.api import callers, health, problems
from predictions.api.codings import codings_for, unpack
from predictions.api.http import ApiReply, ApiRequest, Handler, coding_of, content_length, is_readable, vary_by
from predictions.api.uploads import BROKEN_BODY
from predictions.batches.limits import limit_text, most_bytes, takes_file
from predictions.context import request_id
from predictions.serving.schema.errors import NotAuthenticated, OutOfScope
from predictions.serving.schema.request_errors import (
    BadRequest,
    FileTooLarge,
    UnsupportedMediaType,
    UnsupportedTransferCoding,
)
from predictions.use_cases import admission

# Refused requests of the API and of pages have the same logger, Django's.
logger = logging.getLogger("django.request")

REQUEST_ID = "X-Request-ID"
# A name of DNS has 253 characters at most, and a port has five.
LONGEST_HOST = 260
# The form of a request id that is accepted from a proxy.
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")
READING = ("GET", "HEAD", "OPTIONS")
# POST requests that only read. Under /mcp, the tools themselves check whether a token may predict.
READS_BY_POST = re.compile(r"/v2/repository/index/?|/mcp")
OF_MODEL = re.compile(r"/(?:api/v1|v2)/models/([^/]*)")
# The requests whose rows SUBMIT_RATE counts.
COUNTED = re.compile(r"/api/v1/models/[^/]+/predictions/?|/v2/models/[^/]+(/versions/[^/]+)?/infer/?")
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Prefer, Idempotency-Key, Cancel-After, If-None-Match,"
    " Last-Event-ID, Content-Encoding, Inference-Header-Content-Length, MCP-Protocol-Version, Mcp-Method, Mcp-Name",
    "Access-Control-Max-Age": "600",
}
EXPOSED = (
    "Location, Retry-After, ETag, Preference-Applied, Server-Timing, WWW-Authenticate, X-Request-ID, RateLimit-Limit,"
    " RateLimit-Remaining, RateLimit-Reset, RateLimit-Policy, Content-Disposition, Allow, Accept, Accept-Encoding,"
    " Inference-Header-Content-Length"
)
# Operations that need no permission to predict: health, for every probe, and the OpenAPI schema.
OPEN = re.compile(rf"{health.LIVE}|/v2/health/(live|ready)|/api/v1/schema/")


async def identify_request(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Give the request an id, which its log lines and its reply carry."""
    name = request_id_for(request.headers.get("x-request-id", ""))
    request_id.set(name)
    reply = await call_next(request)
    reply.headers[REQUEST_ID] = name
    return reply


def request_id_for(given: str) -> str:
    """The id that a proxy in front gave, or a new one."""
    if given and settings.BEHIND_PROXY and WELL_FORMED.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"


async def cross_origin(call_next: Handler, request: ApiRequest) -> ApiReply:
    """CORS: let scripts of other sites read replies, where CORS_ALLOWED_ORIGINS names the site.

    The API reads no cookies, so no credentials are allowed: a script sends a token of its own. docs/decisions/0037 says
    where this differs from django-cors-headers.
    """
    origin, known = request.headers.get("origin"), settings.CORS_ALLOWED_ORIGINS
    if not known:
        return await call_next(request)
    is_known = origin is not None and ("*" in known or origin in known)
    if is_known and request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        reply = ApiReply(204, headers={**PREFLIGHT})
    else:
        reply = await call_next(request)
    vary_by(reply, "Origin")
    if is_known:
        allowed = "*" if "*" in known else str(origin)
        reply.headers |= {"Access-Control-Allow-Origin": allowed, "Access-Control-Expose-Headers": EXPOSED}
    return reply


async def add_security_headers(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Add security headers, and keep shared caches from storing replies, which differ by caller."""
    reply = await call_next(request)
    caching = {"Cache-Control": "private, no-cache"} if request.method in ("GET", "HEAD") else {}
    security = _security_headers(request.is_secure, settings.SECURE_HSTS_SECONDS)
    reply.headers = {**security, **caching, **reply.headers}
    return reply


@cache
def _security_headers(is_secure: bool, hsts_seconds: int) -> dict[str, str]:
    """The headers that Django's two middlewares give a response, as the settings want them."""
    empty: Any = SimpleNamespace(is_secure=lambda: is_secure)
    response = HttpResponse()
    del response["Content-Type"]
    for middleware in (SecurityMiddleware, XFrameOptionsMiddleware):
        middleware(lambda _: response).process_response(empty, response)
    return dict(response.items())


async def format_errors(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Turn an error into a reply in the format of the path, and log what was refused."""
    reply = await catch_errors(call_next, request)
    if reply.error is not None:
        _log(reply.status, request.path, reply.error)
        return reply
    if reply.status >= HTTPStatus.BAD_REQUEST:
        _log(reply.status, request.path)
    return reply


async def catch_errors(call_next: Handler, request: ApiRequest) -> ApiReply:
    try:
        return await call_next(request)
    except Exception as error:  # noqa: BLE001 - an unexpected error is logged and answered with 500
        reply = problems.reply(error, request.path)
        reply.error = error
        return reply


def _log(status: int, path: str, error: Exception | None = None) -> None:
    """Log a refusal in one line, with the notes of its error. Status 500 is logged with the traceback."""
    line = ": ".join([problems.phrase(status), ascii(path)[1:-1], *problems.notes(error)])
    level = logging.ERROR if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
    logger.log(level, "%s", line, exc_info=error if status == HTTPStatus.INTERNAL_SERVER_ERROR else None)


async def check_host(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Refuse a host that ALLOWED_HOSTS does not name."""
    host = request.headers.get("host", "")
    if len(host) > LONGEST_HOST or not _is_allowed(host, tuple(settings.ALLOWED_HOSTS)):
        error = BadRequest()
        error.add_note(f"the host {host[:200]!r} is not in ALLOWED_HOSTS")
        raise error
    return await call_next(request)


@lru_cache(maxsize=256)
def _is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether `allowed` names the host. Results are cached, so the caller must limit the length of `host`."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


async def redirect_to_https(call_next: Handler, request: ApiRequest) -> ApiReply:
    if settings.SECURE_SSL_REDIRECT and not request.is_secure and not _may_be_plain(request.prefix + request.path):
        query = request.scope["query_string"].decode("latin-1")
        raw_path = request.scope["raw_path"].decode("latin-1").removeprefix(request.prefix)
        path = request.prefix + raw_path + (f"?{query}" if query else "")
        # Not 301, after which programs repeat a POST as a GET.
        return ApiReply(308, headers={"Location": f"https://{request.headers['host']}{path}"})
    return await call_next(request)


def _may_be_plain(path: str) -> bool:
    """Whether SECURE_REDIRECT_EXEMPT names the path, as Django's SecurityMiddleware reads it."""
    return any(re.search(pattern, path.lstrip("/")) for pattern in settings.SECURE_REDIRECT_EXEMPT)


async def check_body(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Refuse a body that is too large or broken, or whose coding or type is not accepted. Unpack a compressed one."""
    most = most_bytes(request.path)
    if request.headers.get("transfer-encoding", "chunked").strip().lower() != "chunked":
        raise UnsupportedTransferCoding
    codings = codings_for(request.method, request.path)
    if coding_of(request.headers) not in codings:
        raise UnsupportedMediaType(f"The body is compressed. Here it may be: {', '.join(codings)}.", codings=codings)
    if not is_readable(request.headers.get("content-type", "")):
        raise UnsupportedMediaType("Content-Type cannot be read, or names another charset than UTF-8.")
    if request.is_broken:
        raise BadRequest(BROKEN_BODY)
    if len(request.body) > most or content_length(request.headers) > most:
        raise FileTooLarge(limit_text()) if takes_file(request.path) else problems.too_large(request.path)
    await unpack(request, most)
    return await call_next(request)


async def add_rate_limit(call_next: Handler, request: ApiRequest) -> ApiReply:
    """RateLimit-* (draft-ietf-httpapi-ratelimit-headers) on what SUBMIT_RATE counts, refusals included."""
    if not settings.SUBMIT_RATE or request.method != "POST" or not COUNTED.fullmatch(request.path):
        return await call_next(request)
    reply = await catch_errors(call_next, request)
    if (state := await admission.rate_state(request.caller)) is not None:
        reply.headers |= {
            "RateLimit-Limit": str(state.limit),
            "RateLimit-Remaining": str(state.remaining),
            "RateLimit-Reset": str(state.reset_seconds),
            "RateLimit-Policy": f"{state.limit};w={state.window_seconds}",
        }
    return reply


async def authenticate(call_next: Handler, request: ApiRequest) -> ApiReply:
    # Liveness must not need the database. A probe may send credentials that are for a proxy.
    if request.path != health.LIVE:
        request.caller = await callers.identify(request)
    return await call_next(request)


async def authorize(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Refuse what a token does not allow. Callers without a token are admitted only where predictions are public."""
    caller = request.caller
    if not caller.may_predict and request.method not in READING and not READS_BY_POST.fullmatch(request.path):
        raise OutOfScope("This token may only read. Make one that may predict at /accounts/tokens/.")
    named = OF_MODEL.match(request.path)
    if caller.only_model and named and named.group(1) not in (caller.only_model, ""):
        raise OutOfScope(f"This token is for the model {caller.only_model!r} only.")
    if caller.only_model and request.path.startswith("/api/v1/batches/"):
        raise OutOfScope("This token is for one model; files need a token for all.")
    if request.caller.user is None and not settings.PUBLIC_PREDICTIONS and not OPEN.fullmatch(request.path):
        raise NotAuthenticated
    return await call_next(request)
