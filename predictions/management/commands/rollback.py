from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.management.kept_text import kept_text
from predictions.models import RegisteredModel


class Command(BaseCommand):
    help = "Lets the version serve that served before."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")

    def handle(self, *args: Any, **options: Any) -> None:
        model = RegisteredModel.objects.select_related("previous_champion").filter(name=options["name"]).first()
        if model is None or model.previous_champion is None:
            raise CommandError(f"{options['name']} has no version that served before")
        reason = options["reason"] or "rolled back"
        call_command("promote", model.name, model.previous_champion.number, reason=reason, stdout=self.stdout)
