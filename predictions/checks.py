"""System checks: what `manage.py check` says of the machine."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connection

# https://www.sqlite.org/releaselog/3_51_3.html: a checkpoint that races with a writer could corrupt the file.
WAL_RESET_FIXED = (3, 51, 3)


@checks.register(checks.Tags.database, deploy=True)
def sqlite_is_recent(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    if connection.vendor != "sqlite" or settings.SQLITE_VERSION >= WAL_RESET_FIXED:
        return []
    found = ".".join(str(part) for part in settings.SQLITE_VERSION)
    return [
        checks.Warning(
            f"SQLite {found} has the WAL-reset bug: rarely, several connections can corrupt the file.",
            hint="Use SQLite 3.51.3 or newer, or PostgreSQL through DATABASE_URL; keep backups until then.",
            id="foretell.W001",
        )
    ]
