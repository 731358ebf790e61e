from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import aliases
from predictions.management.kept_text import kept_text
from predictions.management.lifecycle import actor, find_model, find_version, refusals


class Command(BaseCommand):
    help = "Gives a version a name to ask by, or moves the name; challenger is the version to be compared."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the registered model")
        parser.add_argument("alias")
        parser.add_argument("version", nargs="?", help="its number or another alias")
        parser.add_argument("--remove", action="store_true", help="take the alias away")
        parser.add_argument("--reason", type=kept_text, default="", help="kept in the history of the model")

    def handle(self, *args: Any, **options: Any) -> None:
        name, alias, called = options["name"], options["alias"], options["version"]
        if options["remove"] == (called is not None):
            raise CommandError("Say a version, or --remove")
        with refusals():
            if options["remove"]:
                aliases.remove_alias(find_model(name), alias, actor(), options["reason"])
                self.stdout.write(f"{name} has no alias {alias} any more.")
                return
            version = find_version(name, called)
            aliases.set_alias(version, alias, actor(), options["reason"])
        self.stdout.write(f"{alias} is {name} v{version.number}.")
