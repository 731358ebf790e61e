"""What request headers ask for: Prefer (RFC 7240), Idempotency-Key, Cancel-After."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from predictions.serving.schema.errors import BadHeader

# 1 to 200 printable characters of ASCII, neither first nor last a space, which HTTP would take away.
KEY = r"^[!-~]([ -~]{0,198}[!-~])?$"
DURATION = r"^([0-9]{1,9})(ms|s|m|h)?$"
LONGEST_TIME = timedelta(hours=24)
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6}(?:\.\d{1,3})?)\"?", re.IGNORECASE)
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours"}


@dataclass(frozen=True)
class PredictOptions:
    """`wait` in seconds, 0 for not at all."""

    wait: float = 0.0
    idempotency_key: str | None = None
    time_allowed: timedelta | None = None


def read_options(headers: Mapping[str, str]) -> PredictOptions:
    """Read the headers. A preference that cannot be understood is ignored, as RFC 7240 wants; the others are errors.

    Raises:
        BadHeader: an Idempotency-Key or a Cancel-After that means nothing.
    """
    return PredictOptions(
        _wait(headers.get("prefer", "")),
        _key(headers.get("idempotency-key")),
        _time(headers.get("cancel-after")),
    )


def _wait(prefer: str) -> float:
    found = _WAIT.search(prefer)
    return min(float(found.group(1)), settings.WAIT_MAX) if found else 0.0


def _key(key: str | None) -> str | None:
    if key is None:
        return None
    if not re.match(KEY, key):
        raise BadHeader("Idempotency-Key must have 1 to 200 printable characters of ASCII.")
    return f"api:{key}"


def _time(text: str | None) -> timedelta | None:
    if text is None:
        return None
    found = re.match(DURATION, text)
    allowed = timedelta(**{_UNITS[found.group(2) or "s"]: int(found.group(1))}) if found else timedelta(0)
    if not timedelta(0) < allowed <= LONGEST_TIME:
        raise BadHeader("Cancel-After must be a duration such as 30s, 5m or 1h, at most 24h.")
    return allowed
