"""A cursor that lets PostgreSQL keep some statements and their plans, by SQL's PREPARE and EXECUTE.

Django binds parameters on the client, so PostgreSQL parses and plans each statement anew. For the statements that every
prediction needs, this takes longer than running them: see docs/decisions/0043-postgresql-keeps-three-plans.md.
"""

import re
import time
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import psycopg
from django.db.backends.postgresql import base

# How long a connection keeps its plans. A plan that was made for an empty table would scan a table that has grown.
PLAN_SECONDS = 1.0
# No name is used twice: a connection may still have a statement of that name.
_numbers = count()


@dataclass
class Kept:
    """The EXECUTE of each statement that a connection has prepared, and when its plans were dropped last."""

    executions: dict[str, str] = field(default_factory=dict)
    dropped_at: float = field(default_factory=time.monotonic)


class Cursor(base.CursorMixin, psycopg.ClientCursor[Any]):
    """Prepares a statement that has a name, `kept_as` (see `predictions.models.kept_statement`)."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        name = getattr(query, "kept_as", None)
        return self._execute_kept(name, query, params) if name else super().execute(query, params, **options)

    def _execute_kept(self, name: str, statement: str, params: Any) -> Any:
        """Run a prepared statement. Raises an error once if the connection has lost its prepared statements, or if the
        type of a column has changed. The next call then prepares the statement again."""
        connection: Any = self.connection  # a Connection of project.db.postgresql.base
        kept: Kept = connection.kept
        now = time.monotonic()
        try:
            if now - kept.dropped_at > PLAN_SECONDS:
                super().execute("DISCARD PLANS")
                kept.dropped_at = now
            if statement not in kept.executions:
                kept.executions[statement] = self._prepare(f"{name}_{next(_numbers)}", statement)
            return super().execute(kept.executions[statement], params)
        except (psycopg.ProgrammingError, psycopg.NotSupportedError):
            kept.executions.clear()
            raise

    def _prepare(self, name: str, statement: str) -> str:
        """Prepare a statement under this name, and return the EXECUTE that runs it."""
        number = count(1)
        text = re.sub("%[%s]", lambda found: "%" if found[0] == "%%" else f"${next(number)}", statement)
        super().execute(f"PREPARE {name} AS {text}")
        return f"EXECUTE {name}({', '.join(['%s'] * (next(number) - 1))})"
