from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import changes
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_version
from predictions.serving.schema.errors import CannotChange
from predictions.worker import preload


class Command(BaseCommand):
    help = "Lets a version serve, once it has reproduced its stored answers here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("version", help="its number or an alias")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")

    def handle(self, *args: Any, **options: Any) -> None:
        version = find_version(options["name"], options["version"])
        if not preload.examine(version.pk):
            version.refresh_from_db()
            changes.record_refusal(version, actor(), version.unavailable_reason)
            raise CommandError(f"{options['name']} v{version.number} does not serve: {version.unavailable_reason}")
        try:
            changes.promote(version, actor(), options["reason"])
        except CannotChange as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"{options['name']} v{version.number} serves.")
