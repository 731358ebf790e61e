from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.serving.artifacts.repository import BrokenFile, NoSuchModel


class Command(BaseCommand):
    help = "Makes a new version of a model from its train.py."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--no-sync", action="store_true", help="leave the database as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            from predictions.serving.training.register import (  # noqa: PLC0415 - only when something is trained
                CannotRegister,
                train_and_register,
            )
        except ModuleNotFoundError as error:
            raise CommandError(f"Training needs {error.name}: pip install -r requirements/run.txt") from error

        name = options["name"]
        self.stdout.write(f"Training {name}…", ending="")
        self.stdout.flush()
        try:
            manifest = train_and_register(settings.MODELS_DIR, name)
        except (NoSuchModel, BrokenFile, CannotRegister) as error:
            raise CommandError(str(error)) from error
        metrics = ", ".join(f"{metric} {value:.3g}" for metric, value in manifest.metrics.items())
        self.stdout.write(f" version {manifest.version}: {metrics}")
        if not options["no_sync"]:
            call_command("sync_models", stdout=self.stdout, stderr=self.stderr)
            self.stdout.write(f"It serves after: manage.py promote {name} {manifest.version}")
