"""Reads which versions other machines have registered, before a command chooses the next version number."""

from django.conf import settings
from django.core.management.base import CommandError

from predictions.models import version_files


def pull() -> None:
    """Raises CommandError if the storage of artefacts does not answer."""
    try:
        version_files.pull(settings.MODELS_DIR)
    except version_files.StorageUnavailable as error:
        raise CommandError(str(error)) from error
