"""The Celery application and its only task."""

import os
from pathlib import Path
from typing import Any

import joblib
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

app = Celery("reference")
app.config_from_object("django.conf:settings", namespace="CELERY")


class ModelLoader:
    """Caches estimators in this process after their first use."""

    _loaded: dict[str, Any] = {}

    @classmethod
    def get(cls, name: str) -> Any:
        if name not in cls._loaded:
            cls._loaded[name] = joblib.load(Path(os.environ["ARTEFACTS"]) / f"{name}.joblib")
        return cls._loaded[name]


@app.task
def predict(name: str, features: list[float]) -> list[float]:
    answer: list[float] = ModelLoader.get(name).predict([features]).tolist()
    return answer
