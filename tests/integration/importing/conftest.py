import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import redis
from pytest_django.fixtures import Settings

from predictions.models import Prediction
from predictions.queue import notifications
from predictions.serving.importing import importer
from tests.support.api_client import ApiClient
from tests.support.commands import run
from tests.support.loading import unproved

Bring = Callable[..., str]


@pytest.fixture(autouse=True)
def _worker(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Each notification runs the worker at once in this process."""
    from predictions.worker import drain

    settings.WAIT_MAX = 0.2
    monkeypatch.setattr(notifications, "notify", lambda lane: drain.serve(lane, time.monotonic() + 60))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the proof in a separate process, which takes seconds. Tests of the proof do not use this fixture."""
    real = importer.import_model
    monkeypatch.setattr(importer, "import_model", lambda root, request, say, _: real(root, request, say, unproved))


@pytest.fixture
def models(db: None, settings: Settings) -> Iterator[Path]:
    """settings.MODELS_DIR without the demo models, which take long to train. `mine` is removed after the test."""
    root: Path = settings.MODELS_DIR
    root.mkdir(exist_ok=True)
    yield root
    shutil.rmtree(root / "mine", ignore_errors=True)


@pytest.fixture
def bring(models: Path, quick: None, tmp_path: Path) -> Bring:
    """Writes an estimator and its rows to files, and registers them as `mine`. Returns the command's output."""

    def register(estimator: Any, frame: pd.DataFrame, target: str | None, *more: str) -> str:
        joblib.dump(estimator, tmp_path / "mine.joblib")
        frame.to_csv(tmp_path / "mine.csv", index=False)
        words = ["--data", str(tmp_path / "mine.csv"), *(["--target", target] if target else []), *more]
        return run("register_model", str(tmp_path / "mine.joblib"), "--name", "mine", *words)

    return register


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """The output of a prediction of `mine` through the API."""
    response = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps({"features": row}))
    assert response.status_code in (200, 202), response.content
    prediction = Prediction.objects.get(pk=response.json()["id"])
    assert prediction.output, prediction.error_code
    return prediction.output
