# Celery looks for its application here; the web needs it to publish.
from project.celery import app as celery_app

__all__ = ["celery_app"]
