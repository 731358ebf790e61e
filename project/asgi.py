"""What the web server calls: `application`, made when it is first asked for."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from project import telemetry  # noqa: E402 - Django first
from project.server.dispatch import Handler  # noqa: E402 - likewise

telemetry.start("web")  # before the handler: tracing puts a middleware into it
application = Handler()
