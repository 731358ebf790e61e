import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from project import telemetry

telemetry.start("web")  # before the application: tracing puts a middleware into it
application = get_wsgi_application()
