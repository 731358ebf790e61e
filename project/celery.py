"""The Celery application. Workers run its tasks; web processes only publish messages."""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown
from django.conf import settings

from project import celery_transport, telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# Workers skip the system checks, which import all views. `manage.py prepare` and `make check` run them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "true")

celery_transport.use()
app = Celery("foretell", task_cls="project.celery_request:GuardedTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect  # type: ignore[untyped-decorator]  # Celery's signals have no types
def configure_logging(**_: object) -> None:
    """Use the logging settings of Django. Without a receiver of this signal, Celery would configure the root logger."""
    logging.config.dictConfig(settings.LOGGING)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def start_telemetry(**_: object) -> None:
    telemetry.start("worker")


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def stop_telemetry(**_: object) -> None:
    telemetry.stop()
