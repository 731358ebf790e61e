"""Log lines: JSON in production, for people in development; each with the request that it belongs to, none with a
secret.

What somebody asked has no place in a log, and the text of an exception may quote it: in production only its type and
the lines that it came through are written.
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

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from predictions.context import request_id

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

# Django and Celery attach these: a request with its query, and a task with its arguments.
NOT_WRITTEN = ("request", "data", "taskName", "server_time")
# The ids of a line for people, at most.
SHOWN_IDS = 3


class Mask:
    """Blots out how one signs in at an address, tokens, and the secrets that are known."""

    # What such a thing begins with, and how it goes on; most lines hold none, and are not searched further.
    PATTERNS: Mapping[str, str] = {
        "://": r"""(?<=://)[^\s/@"']+(?=@)""",
        "Bearer ": r"(?<=Bearer )[\w.~+/=-]+",
        "ft_": r"\bft_\w+",
    }
    # A shorter one is a word that may stand anywhere.
    SHORTEST = 8

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {spelled for secret in secrets for spelled in (secret, json.dumps(secret)[1:-1])}
        long_enough = sorted((word for word in known if len(word) >= self.SHORTEST), key=len, reverse=True)
        self._signs = [*long_enough, *self.PATTERNS]
        self._secret = re.compile("|".join([*map(re.escape, long_enough), *self.PATTERNS.values()]))

    def __call__(self, text: str) -> str:
        return self._secret.sub("***", text) if any(sign in text for sign in self._signs) else text


class Lines(logging.Formatter):
    """For people."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__("{levelname} {name}: {message}", style="{")
        self._mask = Mask(secrets)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        ids: list[str] = getattr(record, "predictions", [])
        more = [" …"] if len(ids) > SHOWN_IDS else []
        request = [f" [{record.request_id}]"] if hasattr(record, "request_id") else []
        return "".join([super().formatMessage(record), *(f" {one}" for one in ids[:SHOWN_IDS]), *more, *request])

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class Json(JsonFormatter):
    """For machines: one object a line."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, *NOT_WRITTEN],
            timestamp="time",
            json_ensure_ascii=False,
        )
        self._mask = Mask(secrets)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - the name is logging's
        return "\n".join(f"{''.join(traceback.format_tb(e.__traceback__))}{type(e).__name__}" for e in _chain(ei[1]))

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(_unquoted(record)))


def _unquoted(record: logging.LogRecord) -> logging.LogRecord:
    """The record, or one whose message does not quote its exception, as Celery's do."""
    if not record.exc_info:
        return record
    message = record.getMessage()
    for error in _chain(record.exc_info[1]):
        for text in filter(None, (repr(error), str(error))):
            message = message.replace(text, type(error).__name__)
    unquoted = copy(record)
    unquoted.msg, unquoted.args = message, None
    return unquoted


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception after those that led to it."""
    if error is not None:
        yield from _chain(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
        yield error


def with_request_id(record: logging.LogRecord) -> bool:
    """A filter that lets everything through."""
    if current := request_id.get():
        record.request_id = current
    return True


def passwords(*urls: str) -> list[str]:
    """Those in the addresses, as they are written there and as they are meant."""
    found = [password for url in urls if (password := urlsplit(url).password)]
    return [*found, *map(unquote, found)]


def config(level: str, *, as_json: bool, secrets: Sequence[str]) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": lambda: with_request_id}},
        "formatters": {"chosen": {"()": Json if as_json else Lines, "secrets": secrets}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["request"]}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django.server": {"level": "WARNING"},
            "celery": {"level": "INFO" if level == "DEBUG" else "WARNING"},
            "kombu": {"level": "WARNING"},
        },
    }
