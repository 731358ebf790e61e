"""System checks of the installed software, for `manage.py check --deploy`."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

# This release fixes a race: a checkpoint and a writer could corrupt the file. Source:
# https://www.sqlite.org/releaselog/3_51_3.html
WAL_RESET_FIXED = (3, 51, 3)


@checks.register(checks.Tags.database, deploy=True)
def check_sqlite_version(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    if connection.vendor != "sqlite" or settings.SQLITE_VERSION >= WAL_RESET_FIXED:
        return []
    found = ".".join(str(part) for part in settings.SQLITE_VERSION)
    return [
        checks.Warning(
            f"SQLite {found} has the WAL-reset bug: in rare cases, concurrent connections corrupt the database file.",
            hint="Use SQLite 3.51.3 or newer, or set DATABASE_URL to a PostgreSQL server. Make backups until then.",
            id="foretell.W001",
        )
    ]
