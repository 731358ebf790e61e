from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from predictions.lifecycle import registry


class Command(BaseCommand):
    help = "Reads the folders of registered models and makes the database say the same."

    def handle(self, *args: Any, **options: Any) -> None:
        broken = registry.sync(settings.MODELS_DIR)
        for error in broken:
            self.stderr.write(self.style.ERROR(str(error)))
        if broken:
            raise SystemExit(1)
