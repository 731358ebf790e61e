"""The answers of several targets, for conditions in the database."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, TextField
from django.db.models.sql.compiler import SQLCompiler


class TargetTexts(Func):
    """One member of the answers of all targets, such as their labels, with a line break between them.

    NULL for an output with one answer. Names of targets are no paths here: Django would take "1" for a place in a list.
    """

    output_field = TextField()
    template = (
        "(SELECT string_agg(value ->> '%(member)s', chr(10)) FROM jsonb_each(%(expressions)s -> 'outputs') AS part)"
    )

    def __init__(self, output: str, member: str) -> None:
        super().__init__(output, member=member)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        template = (
            "(SELECT group_concat(json_extract(value, '$.%(member)s'), char(10))"
            " FROM json_each(%(expressions)s, '$.outputs'))"
        )
        return self.as_sql(compiler, connection, template=template, **context)
