from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from predictions.observability import backups

FOR_POSTGRES = (
    "This command copies SQLite only. For PostgreSQL use pg_dump --format=custom --file=foretell.dump NAME; "
    "docs/how-to/back-up.md describes backup and restore."
)


class Command(BaseCommand):
    help = "Copies the SQLite database while the service runs, and checks the copy. Never overwrites a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "path", nargs="?", type=Path, help="the new file; the default is a new file in VAR_DIR/backups/"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "sqlite":
            raise CommandError(FOR_POSTGRES)
        path = options["path"] or backups.default_path()
        try:
            rows = backups.copy(Path(connection.settings_dict["NAME"]), path)
        except backups.BackupFailed as error:
            raise CommandError(str(error)) from error
        for table, count in rows.items():
            self.stdout.write(f"{count:>9} {table.removeprefix('predictions_')}")
        self.stdout.write(f"Written and checked: {path}")
