from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import registry
from predictions.management.sharing import pull
from predictions.models import RegisteredModel
from predictions.serving.artifacts.repository import BrokenFile, NoSuchModel
from predictions.serving.registration import CannotRegister

if TYPE_CHECKING:
    from predictions.serving.artifacts.manifest import Manifest


class Command(BaseCommand):
    help = "Makes a new version of a model from its train.py."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--no-sync", action="store_true", help="leave the database as it is")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        self.stdout.write(f"Training {name}…", ending="")
        self.stdout.flush()
        manifest = _train(name)
        metrics = ", ".join(f"{metric} {value:.3g}" for metric, value in manifest.metrics.items())
        self.stdout.write(f" version {manifest.version}: {metrics or manifest.task}")
        for remark in manifest.remarks:
            self.stdout.write(remark)
        if not options["no_sync"]:
            for error in registry.sync(settings.MODELS_DIR):
                self.stderr.write(self.style.ERROR(f"Another model is left out: {error}"))
            self.stdout.write(_what_serves(name, manifest.version))


def _train(name: str) -> "Manifest":
    """Raises CommandError for every error, so that a person reads one sentence and no traceback."""
    try:
        from predictions.serving.training.fresh_process import prove_in_fresh_process  # noqa: PLC0415 - only when training
        from predictions.serving.training.register import train_and_register  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(f"Training needs {error.name}: pip install -r requirements/run.txt") from error
    pull()  # the next version number is known only after that
    try:
        prove = partial(prove_in_fresh_process, budget_bytes=settings.LOADER_BYTES)
        return train_and_register(settings.MODELS_DIR, name, prove)
    except (NoSuchModel, BrokenFile, CannotRegister) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{name} cannot be stored: {error}. Free some space, or correct the rights.") from error
    except SystemExit as error:
        raise CommandError(f"{name}: train.py ended the process instead of returning; remove its exit.") from error
    except MemoryError as error:
        raise CommandError(f"{name} needs more memory than there is here: train it on fewer rows.") from error
    except Exception as error:
        raise CommandError(
            f"{name} cannot be trained, and Foretell does not know why: {type(error).__name__}: {error}. "
            f"The option --traceback shows where."
        ) from error


def _what_serves(name: str, number: int) -> str:
    champion = RegisteredModel.objects.select_related("champion").get(name=name).champion
    if champion is not None and champion.number == number:
        return f"It serves now: /models/{name}/"
    return f"It serves after: manage.py promote {name} {number}"
