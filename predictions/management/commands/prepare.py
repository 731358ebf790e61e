"""Prepare a checkout for its start. Steps that are done already are skipped."""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from predictions.lifecycle import registry
from predictions.models import version_files
from predictions.serving.artifacts import repository

ANALYST = "analyst"
# The migrations make these groups.
GROUPS = ("analysts", "operators")


class Command(BaseCommand):
    help = (
        "Migrates the database, collects static files, trains models without a version; in development adds an analyst."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-training", action="store_true", help="train no model")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        self.collect_static()
        if not options["no_training"]:
            self.train_missing()
        for error in registry.sync(settings.MODELS_DIR):
            self.warn(str(error))
        if settings.DEVELOPMENT:
            self.make_analyst()

    def collect_static(self) -> None:
        """Collect static files, only after a change: all files are compressed, which takes the longest of all steps."""
        collected, sources = Path(settings.STATIC_ROOT) / ".sources", static_sources()
        if not collected.exists() or collected.read_text() != sources:
            call_command("collectstatic", interactive=False, verbosity=0)
            collected.write_text(sources)

    def train_missing(self) -> None:
        """Train the models without a version that this Foretell can serve.

        A model that cannot be trained is named and left out, so that the others serve. If the storage of artefacts does
        not answer, nothing is trained: other machines may have trained the models already.
        """
        try:
            version_files.pull(settings.MODELS_DIR)
        except version_files.StorageUnavailable:
            return  # `registry.sync` reports it
        for description in repository.descriptions(settings.MODELS_DIR, on_broken=_reported_by_sync):
            if repository.manifests(settings.MODELS_DIR, description.name, on_broken=_reported_by_sync):
                continue
            try:
                call_command("train", description.name, "--no-sync", stdout=self.stdout)
            except CommandError as error:
                self.warn(f"Model {description.name} is left out: {error}")

    def warn(self, message: str) -> None:
        self.stderr.write(self.style.ERROR(message))

    def make_analyst(self) -> None:
        if User.objects.filter(username=ANALYST).exists():
            return
        password = secrets.token_urlsafe(12)
        analyst = User.objects.create_user(ANALYST, password=password)
        analyst.groups.set(Group.objects.filter(name__in=GROUPS))
        self.stdout.write(f"The board for analysts is at /monitor/. Sign in as {ANALYST} with the password {password}")


def _reported_by_sync(error: repository.BrokenFile) -> None:
    """`registry.sync` reads the same files afterwards and returns those that are broken."""


def static_sources() -> str:
    """A digest that changes when a static file is added, removed or written."""
    files = (Path(storage.path(name)) for finder in get_finders() for name, storage in finder.list([]))
    marks = sorted(f"{path} {status.st_size} {status.st_mtime_ns}" for path in files if (status := path.stat()))
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()
