"""The module that the web server loads: `application`, made when it is first asked for."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from project import telemetry  # noqa: E402 - Django first
from project.server.dispatch import Site  # noqa: E402 - likewise

telemetry.start("web")
application = telemetry.traced(Site())
