import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from project import telemetry
from project.chunks import Measured

telemetry.start("web")  # before the application: tracing puts a middleware into it
application = Measured(get_wsgi_application())
