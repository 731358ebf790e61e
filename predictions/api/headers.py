"""Reads the request headers Prefer (RFC 7240), Idempotency-Key and Cancel-After."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from django.conf import settings

from predictions.serving.schema.request_errors import BadHeader
from predictions.use_cases.callers import Caller

# 1 to 200 printable characters of ASCII. The first and the last one are no spaces, which HTTP would remove.
KEY = r"^[!-~]([ -~]{0,198}[!-~])?$"
# The shortest key of a caller that is known by an address only. It must be random: others at that address use keys too.
SHORTEST_SHARED_KEY = 16
# The result for a longer Prefer is not cached.
LONGEST_KNOWN = 200


def _up_to(most: str) -> str:
    """A pattern for the whole numbers from 1 to `most`, without leading zeros."""
    shorter = f"[1-9][0-9]{{0,{len(most) - 2}}}" if len(most) > 1 else ""
    smaller = [
        f"{most[:place]}[{'0' if place else '1'}-{int(digit) - 1}][0-9]{{{len(most) - place - 1}}}"
        for place, digit in enumerate(most)
        if int(digit) > (0 if place else 1)
    ]
    return "|".join(filter(None, [shorter, *smaller, most]))


# At most 24 hours. The OpenAPI schema has the same pattern, so that both agree.
DURATION = rf"^(({_up_to('86400000')})ms|({_up_to('86400')})s?|({_up_to('1440')})m|({_up_to('24')})h)$"
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "": "seconds"}

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_WORD = rf'(?:{_NAME}|"(?:[^"\\]|\\.)*")'
_PARAMETERS = rf"(?:\s*;\s*(?:{_NAME}(?:\s*=\s*{_WORD})?)?)*"
# One preference with its parameters, and the comma after it.
_PREFERENCE = re.compile(rf"\s*(?:({_NAME})(?:\s*=\s*({_WORD})?)?{_PARAMETERS})?\s*(?:,|$)")
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,3})?")


@dataclass(frozen=True)
class PredictOptions:
    """`wait` in seconds, 0 for not at all."""

    wait: float = 0.0
    idempotency_key: str | None = None
    time_allowed: timedelta | None = None


def read_options(headers: Mapping[str, str], caller: Caller) -> PredictOptions:
    """Read the headers. A preference that cannot be understood is ignored, as RFC 7240 demands.

    Raises:
        BadHeader: the Idempotency-Key or the Cancel-After is not valid.
    """
    return PredictOptions(
        read_wait(headers), _key(headers.get("idempotency-key"), caller), _time(headers.get("cancel-after"))
    )


def read_wait(headers: Mapping[str, str]) -> float:
    """Seconds for which the client prefers to wait, `WAIT_MAX` at most."""
    prefer = headers.get("prefer")
    if not prefer:
        return 0.0
    wait = _known_wait(prefer) if len(prefer) <= LONGEST_KNOWN else _wait(prefer)
    return min(wait, settings.WAIT_MAX)


@lru_cache(maxsize=256)
def _known_wait(prefer: str) -> float:
    return _wait(prefer)


def _wait(prefer: str) -> float:
    wait = next((value for name, value in _preferences(prefer) if name == "wait"), "")
    return float(wait) if _SECONDS.fullmatch(wait) else 0.0


def _preferences(text: str) -> Iterator[tuple[str, str]]:
    """The preferences in order, as far as the text follows the grammar of RFC 7240, section 2."""
    place = 0
    while place < len(text) and (found := _PREFERENCE.match(text, place)):
        place = found.end()
        if name := found.group(1):
            yield name.lower(), re.sub(r"\\(.)", r"\1", (found.group(2) or "").strip('"'))


def _key(key: str | None, caller: Caller) -> str | None:
    if key is None:
        return None
    if not re.match(KEY, key):
        raise BadHeader("Idempotency-Key must have 1 to 200 printable characters of ASCII.")
    if caller.user is None and not caller.has_history and len(key) < SHORTEST_SHARED_KEY:
        raise BadHeader(
            "Without a token, an Idempotency-Key must be random, for example a UUID, and have"
            f" {SHORTEST_SHARED_KEY} characters or more: others may ask from the same address."
        )
    return f"api:{key}"


def _time(text: str | None) -> timedelta | None:
    if text is None:
        return None
    if not re.match(DURATION, text):
        raise BadHeader("Cancel-After must be a duration such as 30s, 5m or 1h, at most 24h.")
    number = text.rstrip("msh")
    return timedelta(**{_UNITS[text.removeprefix(number)]: int(number)})
