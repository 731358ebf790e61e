"""Queries that run hundreds of times a second. Django builds their SQL once; later runs only execute it.

Building the SQL takes several times as long as executing it. Values that differ between runs are `Param`s of the query.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler

# Keys in one statement, at most; a power of two.
LOT = 64


class Param(models.Expression):
    """A placeholder for a value that each run provides: `filter(lane=Param("lane", models.CharField()))`."""

    def __init__(self, name: str, output_field: "models.Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class CompiledQuery:
    """A query for columns, `values_list(…)`.

    Args:
        build: returns the query. It is called once for the connection of each thread, which decides the SQL.
    """

    def __init__(self, build: Callable[[], "models.QuerySet[Any, Any]"]) -> None:
        self._build = build
        self._known = threading.local()

    def rows(self, **given: Any) -> list[tuple[Any, ...]]:
        """The rows of the query with these values of its `Param`s, as `values_list` returns them."""
        connection = connections[DEFAULT_DB_ALIAS]
        sql, params, compiler, converters = self._built(connection)
        with connection.cursor() as cursor:
            cursor.execute(sql, [_value(param, given, connection) for param in params])
            found = cursor.fetchall()
        return [tuple(row) for row in compiler.apply_converters(found, converters)]

    def _built(self, connection: BaseDatabaseWrapper) -> Any:
        known = getattr(self._known, "built", None)
        if known is None or known[2].connection is not connection:
            compiler: Any = self._build().query.get_compiler(connection=connection)
            sql, params = compiler.as_sql()
            columns = [column for column, _, _ in compiler.select[: compiler.col_count]]
            known = self._known.built = sql, params, compiler, compiler.get_converters(columns)
        return known


def _value(param: Any, given: dict[str, Any], connection: BaseDatabaseWrapper) -> Any:
    if isinstance(param, Param):
        return param.output_field.get_db_prep_value(given[param.name], connection)
    return param


# --- Rows by their keys -----------------------------------------------------------------------------------------------
def rows_of(
    model: "type[models.Model]", columns: tuple[str, ...], keys: Sequence[Any], by: str = "pk"
) -> list[tuple[Any, ...]]:
    """The existing rows with these keys, in no particular order. `by` names the UUID column of the keys.

    The keys are asked for in lots. Each lot is filled up to a power of two with its last key, so that there are few
    different statements.
    """
    found: list[tuple[Any, ...]] = []
    for lot in (keys[start : start + LOT] for start in range(0, len(keys), LOT)):
        size = 1 << (len(lot) - 1).bit_length()
        given = {f"key{place}": lot[min(place, len(lot) - 1)] for place in range(size)}
        found += _of_so_many(model, columns, size, by).rows(**given)
    return found


@cache
def _of_so_many(model: "type[models.Model]", columns: tuple[str, ...], size: int, by: str) -> CompiledQuery:
    wanted = [Param(f"key{place}", models.UUIDField()) for place in range(size)]
    return CompiledQuery(lambda: model._default_manager.filter(**{f"{by}__in": wanted}).values_list(*columns))
