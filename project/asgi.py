"""The module that the web server loads. It makes `application` when it is imported."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from project import telemetry  # noqa: E402 - Django must be set up first
from project.server.dispatch import Site  # noqa: E402 - Django must be set up first

telemetry.start("web")
application = telemetry.traced(Site())
