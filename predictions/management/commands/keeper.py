from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from predictions.maintenance.runner import Keeper
from predictions.worker.fallback_worker import FallbackWorker


class Command(BaseCommand):
    help = "Ends what nobody ends, rings for what nobody took, and works alone while Redis is away."
    # They would import every page, and a keeper has none.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one sweep now, then leave")

    def handle(self, *args: Any, **options: Any) -> None:
        standby = FallbackWorker()
        keeper = Keeper(settings.KEEPER_SECONDS, standby.serve)
        try:
            if options["once"]:
                self.stdout.write(str(keeper.sweep()))
            else:
                import_string(settings.PROCESS_STARTED)("keeper")
                keeper.run()
        finally:
            standby.stop()
