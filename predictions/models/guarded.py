"""Guarded changes of state, and the rules of leases: one implementation for predictions, files and their chunks."""

import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models.functions import Now
from django.db.models.sql import UpdateQuery

from predictions.models.states import TRANSITIONS, State

M = TypeVar("M", bound=models.Model)

# The most rows that one statement of the maintenance process changes.
SOME = 1000


class GuardedQuerySet(models.QuerySet[M]):
    """Rows with a `state` that changes only as `transitions` allows. The primary key is a UUID."""

    transitions: ClassVar[Mapping[Any, tuple[Any, ...]]] = TRANSITIONS

    def move(self, to: str, **changes: Any) -> list[uuid.UUID]:
        """Change the state by one UPDATE … RETURNING, guarded by the table of transitions. Returns the changed ids."""
        allowed = [earlier for earlier, following in self.transitions.items() if to in following]
        query: Any = self.filter(state__in=allowed).order_by().query.chain(UpdateQuery)
        query.add_update_values({"state": to, **changes})
        try:
            sql, params = query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:
            return []
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} RETURNING id", params)
            return [uuid.UUID(str(row[0])) for row in cursor.fetchall()]

    def some(self) -> Self:
        """At most `SOME` of these rows. An update of them still has the conditions of this query."""
        return self.filter(pk__in=list(self.values_list("pk", flat=True)[:SOME]))


class LeasedQuerySet(GuardedQuerySet[M]):
    """Rows that workers claim for a time. Fields: claim, claimed_until, attempts, started_at, finished_at."""

    def queued(self) -> Self:
        return self.filter(state=State.QUEUED)

    def running(self) -> Self:
        return self.filter(state=State.RUNNING)

    def unfinished(self) -> Self:
        # With `finished_at`, SQLite can use a partial index: a list of bound states does not imply its condition.
        return self.filter(state__in=[State.QUEUED, State.RUNNING], finished_at__isnull=True)

    def cancel(self) -> list[uuid.UUID]:
        """Cancel the rows that have not ended. Returns the ids of the rows that this call canceled."""
        return self.move(State.CANCELED, finished_at=Now(), claimed_until=None)

    def fail_exhausted(self) -> list[uuid.UUID]:
        """Fail rows with an expired lease and no attempt left. Returns the ids of the rows that this call failed."""
        lost = self.with_expired_lease().filter(attempts__gte=settings.MAX_ATTEMPTS)
        return lost.some().move(State.FAILED, finished_at=Now(), claimed_until=None, error_code="worker_lost")

    def requeue_lost(self) -> list[uuid.UUID]:
        """Queue rows with an expired lease again. Returns the ids of the rows that this call queued."""
        lost = self.with_expired_lease().filter(attempts__lt=settings.MAX_ATTEMPTS)
        return lost.move(State.QUEUED, claim=None, claimed_until=None, started_at=None)

    def with_expired_lease(self) -> Self:
        return self.running().filter(claimed_until__lt=Now())
