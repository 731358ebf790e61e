"""Functions that the commands of the lifecycle share: look-ups by name, and the account that runs the command."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from predictions.lifecycle import aliases
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.errors import CannotChange, InvalidInput, NotFound


def actor() -> str:
    """The account of the operating system that runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def find_model(name: str) -> RegisteredModel:
    """Raises CommandError."""
    model = RegisteredModel.objects.filter(name=name).first()
    if model is None:
        raise CommandError(f"There is no model {name}; sync_models reads new folders")
    return model


def find_version(name: str, called: str | int) -> ModelVersion:
    """The version of a number or an alias. Raises CommandError."""
    model = RegisteredModel.objects.filter(name=name).first()
    version = None if model is None else aliases.called(model, str(called)).first()
    if model is None or version is None:
        raise CommandError(f"{name} has no version {called}; sync_models reads new folders")
    version.registered_model = model
    return version


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the error by which a change is refused into a CommandError."""
    try:
        yield
    except InvalidInput as error:
        raise CommandError(" ".join(problem.message for problem in error.problems)) from None
    except (CannotChange, NotFound) as error:
        raise CommandError(error.sentence) from None
