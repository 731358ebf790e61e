"""Shared by the commands of the lifecycle: look-ups by name, and the account that runs the command."""

import getpass

from django.core.management.base import CommandError

from predictions.models import ModelVersion, RegisteredModel


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


def find_version(name: str, number: int) -> ModelVersion:
    """Raises CommandError."""
    versions = ModelVersion.objects.select_related("registered_model")
    version = versions.filter(registered_model__name=name, number=number).first()
    if version is None:
        raise CommandError(f"{name} has no version {number}; sync_models reads new folders")
    return version
