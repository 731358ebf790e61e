from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from predictions.lifecycle import challenger
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_model, refusals
from predictions.management.percent import percent


class Command(BaseCommand):
    help = "Lets the challenger answer a share of the predictions again, for comparison. Callers never see its answers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the registered model")
        parser.add_argument("percent", type=percent, help="of the predictions, 0 to 100; 0 ends it")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")

    def handle(self, *args: Any, **options: Any) -> None:
        name, share = options["name"], options["percent"]
        with refusals():
            challenger.set_shadow(find_model(name), share, actor(), options["reason"])
        said = f"answers {share} % of the predictions again" if share else "answers no copies any more"
        self.stdout.write(f"The challenger of {name} {said}.")
