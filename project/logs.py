"""Log formatters: JSON in production, short text in development. Each line carries its request id and no secret.

Logs must not contain the inputs of predictions, and the text of an exception may quote them. So JSON lines name only
the type of an exception and its traceback.
"""

import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http.multipartparser import MultiPartParserError
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from predictions.context import request_id

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# Django and Celery attach these to records. They may contain inputs: a query, or the arguments of a task.
OMITTED_FIELDS = ("request", "data", "taskName", "server_time")
# Requests that Django refuses. Their text names the remedy or the limit, and quotes no input but the host.
REFUSALS = (SuspiciousOperation, BadRequest, MultiPartParserError)
# A text line shows at most this many prediction ids.
SHOWN_IDS = 3


class Mask:
    """Replaces credentials in URLs, tokens and the known secrets by `***`."""

    # The pattern of each kind of secret, by a literal before the secret or at its beginning. Lines without these
    # literals skip the regex.
    PATTERNS: Mapping[str, str] = {
        "://": r"""(?<=://)[^\s/@"']+(?=@)""",
        "Bearer ": r"(?<=Bearer )[\w.~+/=-]+",
        "ft_": r"\bft_\w+",
    }
    # Shorter secrets are not masked: they may be ordinary words.
    MIN_LENGTH = 8

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {spelling for secret in secrets for spelling in (secret, json.dumps(secret)[1:-1])}
        long_enough = sorted((word for word in known if len(word) >= self.MIN_LENGTH), key=len, reverse=True)
        self._literals = [*long_enough, *self.PATTERNS]
        self._secret = re.compile("|".join([*map(re.escape, long_enough), *self.PATTERNS.values()]))

    def __call__(self, text: str) -> str:
        return self._secret.sub("***", text) if any(literal in text for literal in self._literals) else text


class TextFormatter(logging.Formatter):
    """Short lines for people."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__("{levelname} {name}: {message}", style="{")
        self._mask = Mask(secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging defines the name
        ids: Sequence[object] = getattr(record, "predictions", [])
        more = [" …"] if len(ids) > SHOWN_IDS else []
        request = [f" [{record.request_id}]"] if hasattr(record, "request_id") else []
        return "".join([super().formatMessage(record), *(f" {one}" for one in ids[:SHOWN_IDS]), *more, *request])

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class SafeJsonFormatter(JsonFormatter):
    """One JSON object a line, without the text of exceptions."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, *OMITTED_FIELDS],
            timestamp="time",
            json_ensure_ascii=False,
        )
        self._mask = Mask(secrets)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging defines the name
        return "\n".join(f"{''.join(traceback.format_tb(e.__traceback__))}{type(e).__name__}" for e in _chain(ei[1]))

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(_without_exception_text(record)))


def _without_exception_text(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose message names the type of its exception instead of the text: Celery's messages quote the text."""
    if not record.exc_info:
        return record
    message = record.getMessage()
    for error in _chain(record.exc_info[1]):
        for text in filter(None, (repr(error), str(error))):
            message = message.replace(text, type(error).__name__)
    safe = copy(record)
    safe.msg, safe.args = message, None
    return safe


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The causes of an exception, the first cause first, then the exception itself."""
    if error is not None:
        yield from _chain(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
        yield error


def with_request_id(record: logging.LogRecord) -> bool:
    """A logging filter that adds the id of the current request. It drops no record."""
    if current := request_id.get():
        record.request_id = current
    return True


def without_traceback_of_refusals(record: logging.LogRecord) -> bool:
    """A logging filter that reduces a refused request to one line. It drops no record."""
    if record.exc_info and isinstance(record.exc_info[1], REFUSALS):
        record.exc_info = None
    return True


def passwords(*urls: str) -> list[str]:
    """The passwords in the URLs, both percent-encoded and decoded."""
    found = [password for url in urls if (password := urlsplit(url).password)]
    return [*found, *map(unquote, found)]


def config(level: str, *, as_json: bool, secrets: Sequence[str]) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "request": {"()": lambda: with_request_id},
            "refusals": {"()": lambda: without_traceback_of_refusals},
        },
        "formatters": {"chosen": {"()": SafeJsonFormatter if as_json else TextFormatter, "secrets": secrets}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["request", "refusals"]}
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django.server": {"level": "WARNING"},
            "celery": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            "kombu": {"level": "WARNING"},
            "mcp": {"level": "WARNING"},
        },
    }
