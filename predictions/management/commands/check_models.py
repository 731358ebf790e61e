from typing import Any

from django.core.management.base import BaseCommand

from predictions.models import ModelVersion
from predictions.worker import preload


class Command(BaseCommand):
    help = "Loads every version here and says which do not serve, and why."

    def handle(self, *args: Any, **options: Any) -> None:
        versions = ModelVersion.objects.filter(registered_model__is_present=True).select_related("registered_model")
        failed = 0
        for version in versions.order_by("registered_model__name", "number"):
            if preload.examine(version.pk):
                self.stdout.write(f"{version}: serves")
            else:
                failed += 1
                version.refresh_from_db()
                self.stdout.write(self.style.ERROR(f"{version}: {version.unavailable_reason}"))
        if failed:
            raise SystemExit(1)
