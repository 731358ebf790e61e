from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import registry
from predictions.management.kept_text import kept_text
from predictions.management.sharing import pull
from predictions.models import RegisteredModel
from predictions.serving.artifacts.repository import BrokenFile
from predictions.serving.registration import CannotRegister

if TYPE_CHECKING:
    from predictions.serving.importing.importer import Imported
    from predictions.serving.importing.request import Request


class Command(BaseCommand):
    help = "Makes a new version of a model from a fitted estimator in a file. Opening a file of pickle runs it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path, help="the file or folder that holds the fitted estimator")
        parser.add_argument("--name", required=True, help="what users call the model: a-z, 0-9, - and _")
        parser.add_argument("--data", type=Path, help="CSV or Parquet: the rows on which it was fitted")
        parser.add_argument("--target", help="the column of the data that is predicted; several as a,b")
        parser.add_argument("--held-out", type=Path, help="CSV or Parquet: rows that it has never seen, to measure it")
        parser.add_argument("--code", type=Path, help="a module or a folder of modules that the estimator needs")
        parser.add_argument("--title", type=kept_text, help="how pages call it")
        parser.add_argument(
            "--serve",
            action="store_true",
            help="let it serve at once; register nothing if these files are known already",
        )
        parser.add_argument("--dry-run", action="store_true", help="decide and prove, and keep nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        pull()  # the next version number is known only after that
        if options["serve"] and (known := self._known(options)) is not None:
            self.stdout.write(f"{options['name']} version {known} was made from these files: nothing to do.")
            return
        imported = self._import(options)
        self._report(imported)
        if options["dry_run"]:
            self.stdout.write("Nothing was kept: this was a dry run.")
            return
        for error in registry.sync(settings.MODELS_DIR):
            self.stderr.write(self.style.ERROR(str(error)))
        if options["serve"] and not _serves(options["name"], imported.manifest.version):
            call_command("promote", options["name"], imported.manifest.version, stdout=self.stdout)
        self.stdout.write(_what_serves(options["name"], imported.manifest.version))

    def _known(self, options: dict[str, Any]) -> int | None:
        from predictions.serving.importing.request import known_version  # noqa: PLC0415 - only here

        try:
            return known_version(settings.MODELS_DIR, _request(options))
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}.") from error

    def _import(self, options: dict[str, Any]) -> "Imported":
        """Raises CommandError for every error, so that a person reads one sentence and no traceback."""
        try:
            from predictions.serving.importing.importer import import_model  # noqa: PLC0415 - only here
            from predictions.serving.training.fresh_process import prove_in_fresh_process  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise CommandError(f"Registering needs {error.name}: pip install -r requirements/run.txt") from error
        wanted = _request(options)
        try:
            prove = partial(prove_in_fresh_process, budget_bytes=settings.LOADER_BYTES)
            return import_model(settings.MODELS_DIR, wanted, self._say, prove)
        except (BrokenFile, CannotRegister) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"{wanted.name} cannot be stored: {error}. Free some space, or correct the rights."
            ) from error
        except MemoryError as error:
            raise CommandError(f"{wanted.path} needs more memory than there is here.") from error
        except Exception as error:
            raise CommandError(
                f"{wanted.path} cannot be registered, and Foretell does not know why: {type(error).__name__}: {error}. "
                f"The option --traceback shows where."
            ) from error

    def _say(self, step: str) -> None:
        self.stdout.write(f"{step}…")
        self.stdout.flush()

    def _report(self, imported: "Imported") -> None:
        from predictions.serving.importing.report import questions, table  # noqa: PLC0415 - only here

        if imported.decisions:
            self.stdout.write("What was decided:")
        for line in table(imported.decisions) if imported.decisions else ():
            self.stdout.write(line)
        if imported.doubts:
            self.stdout.write("To look at:")
        for line in questions(imported.doubts):
            self.stdout.write(line)
        for remark in imported.manifest.remarks:
            self.stdout.write(remark)
        metrics = ", ".join(f"{name} {value:.3g}" for name, value in imported.manifest.metrics.items())
        for one in imported.manifest.targets:
            measured = ", ".join(f"{name} {value:.3g}" for name, value in one.metrics.items())
            self.stdout.write(f"{one.target.name}: {measured or 'not measured'}")
        self.stdout.write(
            f"{imported.manifest.model} version {imported.manifest.version}: {metrics or imported.manifest.task}"
        )


def _request(options: dict[str, Any]) -> "Request":
    from predictions.serving.importing.request import Request  # noqa: PLC0415 - only here

    return Request(**{name: options[name] for name in Request.__slots__})


def _serves(name: str, number: int) -> bool:
    champion = RegisteredModel.objects.select_related("champion").get(name=name).champion
    return champion is not None and champion.number == number


def _what_serves(name: str, number: int) -> str:
    if _serves(name, number):
        return f"It serves now: /models/{name}/"
    return f"It serves after: manage.py promote {name} {number}"
