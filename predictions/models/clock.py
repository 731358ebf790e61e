"""The database's clock. It alone decides about deadlines, leases and expiry: the clocks of hosts may differ."""

import time
from datetime import UTC, datetime, timedelta

from django.db import Error, connection

# The SQL of Django's `Now()`. All other times of predictions come from it.
NOW = {"sqlite": "STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')", "postgresql": "STATEMENT_TIMESTAMP()"}
# The same time in the format of stored columns, for a statement with parameters. SQLite compares times as texts, and
# Django writes six digits after the point.
STORED_NOW = {
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW')",
    "postgresql": "STATEMENT_TIMESTAMP()",
}
# The time after an interval from now, stored in the same way. The parameter is the result of `interval`.
STORED_LATER = {
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'NOW', %s)",
    "postgresql": "STATEMENT_TIMESTAMP() + CAST(%s AS interval)",
}
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
    found = read(answer)
    _known = found, time.monotonic()
    return found


def read(answer: str | datetime) -> datetime:
    """Convert a time that a statement returned: SQLite has no time zones, and an expression's time is text."""
    found = datetime.fromisoformat(answer) if isinstance(answer, str) else answer
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def interval(span: timedelta) -> str:
    """The parameter of `STORED_LATER`."""
    return f"{span.total_seconds()} seconds"


def recent(ask_after: float = ASK_SECONDS) -> datetime:
    """The database's time, computed from its last answer and the time that has passed since.

    If the database does not answer now, its last answer is used.

    Args:
        ask_after: seconds after which the database is asked again.

    Raises:
        django.db.Error: the database has never answered this process, and does not now.
    """
    if _known is None:
        return now()
    answer, asked_at = _known
    passed = time.monotonic() - asked_at
    if passed > ask_after:
        try:
            return now()
        except Error:
            pass
    return answer + timedelta(seconds=passed)
