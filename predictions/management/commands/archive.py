from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import changes
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_version
from predictions.serving.schema.errors import CannotChange


class Command(BaseCommand):
    help = "Keeps a version for the predictions that it made. It can then not be promoted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("version", help="its number or an alias")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")
        parser.add_argument("--undo", action="store_true", help="let it be promoted again")

    def handle(self, *args: Any, **options: Any) -> None:
        version = find_version(options["name"], options["version"])
        try:
            if options["undo"]:
                changes.restore(version, actor())
            else:
                changes.archive(version, actor(), options["reason"])
        except CannotChange as refused:
            raise CommandError(str(refused)) from None
        result = "can be promoted again" if options["undo"] else "is archived"
        self.stdout.write(f"{options['name']} v{version.number} {result}.")
