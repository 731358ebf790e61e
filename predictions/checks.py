"""System checks of the installed software.

Most commands of Django run the first one. The second one runs with `check --deploy`.
"""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

# The first release whose UPDATE returns rows: https://www.sqlite.org/lang_returning.html
UPDATE_RETURNS = (3, 35, 0)
# This release fixes a race: a checkpoint and a writer could corrupt the file. Source:
# https://www.sqlite.org/releaselog/3_51_3.html
WAL_RESET_FIXED = (3, 51, 3)


@checks.register()
def check_sqlite_returns_rows(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    if not _is_sqlite_before(UPDATE_RETURNS):
        return []
    return [
        checks.Error(
            f"SQLite {_version()} is too old: its UPDATE returns no rows.",
            hint="Use a Python with SQLite 3.35 or newer, or set DATABASE_URL to a PostgreSQL server.",
            id="foretell.E001",
        )
    ]


@checks.register(deploy=True)
def check_sqlite_wal_reset(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    if not _is_sqlite_before(WAL_RESET_FIXED):
        return []
    return [
        checks.Warning(
            f"SQLite {_version()} has the WAL-reset bug: in rare cases, connections corrupt the database file.",
            hint="Use SQLite 3.51.3 or newer, or set DATABASE_URL to a PostgreSQL server. Make backups until then.",
            id="foretell.W001",
        )
    ]


def _is_sqlite_before(version: tuple[int, int, int]) -> bool:
    return connection.vendor == "sqlite" and version > settings.SQLITE_VERSION


def _version() -> str:
    return ".".join(str(part) for part in settings.SQLITE_VERSION)
