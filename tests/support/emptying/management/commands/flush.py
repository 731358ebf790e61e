"""`flush`, which Django calls after each test that commits: delete all rows but content types and permissions.

Django's own command deletes these too and writes them anew, which takes longer than most of the tests.
"""

from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction

KEPT = {"django_content_type", "auth_permission"}


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        database = options["database"]
        connection = connections[database]
        tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT
        # In one transaction, since foreign keys are looked at when it ends.
        with transaction.atomic(using=database), connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
