from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import challenger, changes
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_model, find_version, refusals
from predictions.management.percent import percent
from predictions.worker import preload


class Command(BaseCommand):
    help = "Lets the challenger answer a share of the callers, once it has reproduced its stored answers here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the registered model")
        parser.add_argument("percent", type=percent, help="of the callers, 0 to 100; 0 ends it")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")

    def handle(self, *args: Any, **options: Any) -> None:
        name, share = options["name"], options["percent"]
        model = find_model(name)
        with refusals():
            if not share:
                challenger.stop_canary(model, actor(), options["reason"])
                self.stdout.write(f"The version that serves answers all callers of {name}.")
                return
            if model.challenger_id is None:
                raise CommandError(challenger.NONE_CHOSEN)
            version = find_version(name, "challenger")
            if not preload.examine(version.pk):
                version.refresh_from_db()
                changes.record_refusal(version, actor(), version.unavailable_reason)
                raise CommandError(f"{name} v{version.number} does not serve: {version.unavailable_reason}")
            challenger.set_canary(version, share, actor(), options["reason"])
        self.stdout.write(f"{name} v{version.number} answers {share} % of the callers.")
