from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import registry
from predictions.models import ModelVersion
from predictions.worker import preload


class Command(BaseCommand):
    help = "Lets a version serve, once it has reproduced its stored answers here."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("version", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        name, number = options["name"], options["version"]
        versions = ModelVersion.objects.select_related("registered_model")
        version = versions.filter(registered_model__name=name, number=number).first()
        if version is None:
            raise CommandError(f"{name} has no version {number}; sync_models reads new folders")
        if not preload.examine(version.pk):
            version.refresh_from_db()
            raise CommandError(f"{name} v{number} does not serve: {version.unavailable_reason}")
        if not version.registered_model.promote(version):
            raise CommandError(f"{name} was promoted by somebody else meanwhile; look and try again")
        registry.clear_cache()
        self.stdout.write(f"{name} v{number} serves.")
