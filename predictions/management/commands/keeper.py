import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from predictions.maintenance import jobs
from predictions.maintenance.fallback import Fallback
from predictions.maintenance.runner import Runner, describe, run_once
from predictions.worker.fallback_worker import FallbackThread, FallbackWorker


class Command(BaseCommand):
    help = (
        "Maintenance process: fails or expires overdue predictions, requeues expired leases, notifies workers again "
        "about unclaimed rows, and executes the rows of a lane that makes no progress."
    )
    # System checks would import every page, and this process has none.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one sweep now, then leave")

    def handle(self, *args: Any, **options: Any) -> None:
        self._sweep() if options["once"] else self._run()

    def _sweep(self) -> None:
        worker = FallbackWorker()

        def execute(lanes: list[str]) -> None:
            for lane in lanes:
                worker.serve(lane)

        try:
            done, failed = run_once(jobs.of_sweep(Fallback(execute)))
        finally:
            worker.stop()
        self.stdout.write(describe(done))
        if failed:
            raise CommandError(f"These jobs failed: {', '.join(failed)}. The log says why.")

    def _run(self) -> None:
        import_string(settings.PROCESS_STARTED)("keeper")
        # SIGTERM raises SystemExit in the main thread, so that the fallback worker is stopped below.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        thread = FallbackThread(FallbackWorker())
        thread.start()
        try:
            Runner(jobs.of_keeper(Fallback(thread.execute))).run()
        finally:
            thread.stop()
