"""The catalogues of translated texts."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.translation import catalogues

SHOWN = 20


class Command(BaseCommand):
    help = "Bring the catalogues of translated texts up to date with the sources, and compile them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only report whether they are whole and up to date")

    def handle(self, *args: Any, **options: Any) -> None:
        for language in catalogues.languages():
            if not options["check"]:
                self._update(language)
            elif faults := catalogues.faults(language):
                more = f"\nand {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
                listed = "\n".join(faults[:SHOWN])
                raise CommandError(
                    f"{catalogues.path_of(language)}:\n{listed}{more}\nTranslate what is new, then run make docs"
                )

    def _update(self, language: str) -> None:
        missing = catalogues.update(language)
        left = f"; {missing} texts wait for their translation" if missing else ""
        self.stdout.write(f"wrote {catalogues.path_of(language)}{left}")
