"""Requests and replies of the API, between the ASGI server and the operations."""

import codecs
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

import orjson
from django.conf import settings
from django.utils.http import parse_header_parameters

from predictions.use_cases.callers import Caller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

JSON = "application/json"
IDENTITY = "identity"
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
# Times in UTC end with Z, as in RFC 3339.
_OPTIONS = orjson.OPT_UTC_Z


@dataclass(slots=True)
class ApiRequest:
    """One request.

    Attributes:
        headers: by lower-case name; the values of a repeated header are joined by commas.
        address: of the client, also behind a proxy.
        caller: set by the layer `authenticate`.
        is_broken: the body ended early. The client has disconnected, or has sent chunks that are not valid.
        receive: receives a body that is a file; None if `body` has the whole body.
        file: a body that is a file, once it was received.
    """

    scope: Scope
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    is_secure: bool
    address: str
    caller: Caller = field(default_factory=lambda: Caller(""))
    is_broken: bool = False
    receive: Receive | None = None
    file: IO[bytes] | None = None

    @property
    def origin(self) -> str:
        """Scheme and host as the client addressed them, with the path under which a proxy offers the site."""
        return f"{'https' if self.is_secure else 'http'}://{self.headers.get('host', '')}{self.prefix}"

    @property
    def prefix(self) -> str:
        """FORCE_SCRIPT_NAME, which `path` does not contain."""
        return settings.FORCE_SCRIPT_NAME or ""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Chunks(Protocol):
    """A response of Django that is made while it is sent. It is closed in the thread that made it."""

    def __iter__(self) -> Iterator[Any]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class ApiReply:
    """`stream`, if given, is sent piece by piece instead of `content`. `error` is the cause of a refusal."""

    status: int
    content: bytes | Chunks = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    error: Exception | None = None


Handler = Callable[[ApiRequest], Awaitable[ApiReply]]
Layer = Callable[[Handler, ApiRequest], Awaitable[ApiReply]]


def json_reply(status: int, body: Any, headers: Mapping[str, str] | None = None, media_type: str = JSON) -> ApiReply:
    return ApiReply(status, orjson.dumps(body, option=_OPTIONS), {"Content-Type": media_type, **(headers or {})})


def vary_by(reply: ApiReply, header: str) -> None:
    """Add a request's header to those on which the reply depends."""
    reply.headers["Vary"] = ", ".join(filter(None, [reply.headers.get("Vary"), header]))


def content_length(headers: Mapping[str, str]) -> int:
    """The length in bytes that the request declares; 0 if it declares none."""
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 19 else 0


def coding_of(headers: Mapping[str, str]) -> str:
    """The coding of the body, such as gzip (RFC 9110, section 8.4)."""
    return headers.get("content-encoding", IDENTITY).strip().lower()


def is_readable(content_type: str) -> bool:
    """Whether a Content-Type can be parsed and, for a form, names no other charset than UTF-8.

    Django decodes a form by any codec of Python. Some of them produce text that cannot be encoded again.
    """
    if ";" not in content_type:
        return True
    try:
        media_type, parameters = parse_header_parameters(content_type)
        return media_type not in FORMS or codecs.lookup(parameters.get("charset", "utf-8")).name == "utf-8"
    except (ValueError, LookupError):  # a parameter in an unknown encoding; an unknown charset
        return False
