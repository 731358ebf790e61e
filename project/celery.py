"""The Celery application. Workers run it; the web only publishes to it."""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from django.conf import settings

from project import telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# The checks import every page, and a worker has none; `prepare` and `make check` ask them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

app = Celery("foretell")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery's have no types
def keep_the_log(**_: object) -> None:
    """Celery would give the root logger handlers and a level of its own; with a receiver it leaves all to it."""
    logging.config.dictConfig(settings.LOGGING)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def start_telemetry(**_: object) -> None:
    telemetry.start("worker")


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def stop_telemetry(**_: object) -> None:
    telemetry.stop()
