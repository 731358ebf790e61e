from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from predictions.maintenance import retention


class Command(BaseCommand):
    help = "Removes what ended more than RETENTION_DAYS ago; the keeper does the same, a little at a time."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.RETENTION is None:
            self.stdout.write("Nothing is removed: RETENTION_DAYS is not set, so predictions are kept for ever.")
            return
        removed = retention.prune(settings.RETENTION)
        files = retention.prune_files(settings.RETENTION)
        days = settings.RETENTION.days
        self.stdout.write(f"{removed} predictions and {files} files older than {days} days removed.")
