"""`flush`, which Django calls after each test that commits: empty all tables but content types and permissions.

Django's own command empties these two as well and writes their rows again, which takes longer than most of the tests.
"""

from typing import Any

from django.core.management.color import no_style
from django.core.management.commands import flush
from django.db import connections

KEPT = {"django_content_type", "auth_permission"}


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        assert not options["reset_sequences"]
        connection = connections[options["database"]]
        tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), sorted(tables)))
