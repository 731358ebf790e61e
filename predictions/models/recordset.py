"""Many rows as one parameter of a statement: a JSON document that the database turns into a relation.

PostgreSQL parses, plans and runs such a statement once for all rows. One statement for each row took it four times as
long; on SQLite both take the same time.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper


class Recordset:
    """The columns of some fields of a model, as the relation `given`.

    Args:
        fields: their columns are the columns of the relation.
    """

    def __init__(self, fields: "Sequence[models.Field[Any, Any]]") -> None:
        self._columns = [(field.attname, str(field.column), field) for field in fields]

    def relation(self, database: BaseDatabaseWrapper) -> str:
        """SQL for a FROM clause. Its one parameter is a document."""
        quoted = {column: database.ops.quote_name(column) for _, column, _ in self._columns}
        if database.vendor == "postgresql":
            typed = [f"{quoted[column]} {field.db_type(database)}" for _, column, field in self._columns]
            return f"json_to_recordset(%s::json) AS given({', '.join(typed)})"
        extracted = [f"json_extract(value, '$.{column}') AS {name}" for column, name in quoted.items()]
        return f"(SELECT {', '.join(extracted)} FROM json_each(%s)) AS given"  # noqa: S608 - names of our own columns

    def document(self, rows: Iterable[Mapping[str, Any]], database: BaseDatabaseWrapper) -> str:
        """The rows as JSON. Each row maps names of fields to values; other names are ignored. No number may be NaN."""
        written: dict[datetime, Any] = {}
        return orjson.dumps([self._record(row, database, written) for row in rows]).decode()

    def _record(
        self, row: Mapping[str, Any], database: BaseDatabaseWrapper, written: dict[datetime, Any]
    ) -> dict[str, Any]:
        """One row, by column. `written` caches the converted times, since many rows share them."""
        record = {}
        for name, column, field in self._columns:
            value = row[name]
            if isinstance(value, datetime):
                if value not in written:
                    written[value] = field.get_db_prep_value(value, database)
                value = written[value]
            elif isinstance(value, uuid.UUID):
                value = field.get_db_prep_value(value, database)
            record[column] = value
        return record
