"""The database's clock. It alone decides about deadlines, leases and expiry: the clocks of hosts may differ."""

import time
from datetime import UTC, datetime, timedelta

from django.db import Error, connection

# The expressions of Django's `Now()`, which all other times of predictions come from.
NOW = {"sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')", "postgresql": "STATEMENT_TIMESTAMP()"}
# `recent` asks the database again after this time.
ASK_SECONDS = 60.0

# The database's time of the last answer, and this process's monotonic time then.
_known: tuple[datetime, float] | None = None


def now() -> datetime:
    """The database's time."""
    global _known
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {NOW[connection.vendor]}")
        [answer] = cursor.fetchone()
    # SQLite answers with text, in UTC.
    found: datetime = datetime.fromisoformat(answer).replace(tzinfo=UTC) if isinstance(answer, str) else answer
    _known = found, time.monotonic()
    return found


def recent() -> datetime:
    """The database's time as of the last answer, with the time that has passed since: for what people are shown.

    Raises:
        django.db.Error: the database has never answered this process, and does not now.
    """
    if _known is None:
        return now()
    answer, asked_at = _known
    passed = time.monotonic() - asked_at
    if passed > ASK_SECONDS:
        try:
            return now()
        except Error:
            pass
    return answer + timedelta(seconds=passed)
