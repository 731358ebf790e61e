from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import changes
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_model
from predictions.serving.schema.errors import CannotChange


class Command(BaseCommand):
    help = "Lets a model accept no new predictions, and tells those who ask why. What was accepted is finished."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--reason", type=kept_text, help="the sentence that those who ask are told")
        how.add_argument("--undo", action="store_true", help="accept predictions again")

    def handle(self, *args: Any, **options: Any) -> None:
        model = find_model(options["name"])
        if options["undo"]:
            try:
                changes.resume(model, actor())
            except CannotChange as refused:
                raise CommandError(str(refused)) from None
            self.stdout.write(f"{model.name} accepts predictions again.")
            return
        if not options["reason"].strip():
            raise CommandError("--reason must say something: those who ask are told it")
        changes.pause(model, actor(), options["reason"].strip())
        self.stdout.write(f"{model.name} is paused. To undo it: manage.py pause {model.name} --undo")
