"""Fixtures: a worker that runs at each notification, and requests of the protocol."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from pytest_django.fixtures import Settings

from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel
from predictions.queue import notifications
from tests.support.api_client import ApiClient

Infer = Callable[..., Any]


@pytest.fixture
def worker(clean_redis: redis.Redis, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """Each notification runs the worker at once in this process. Completions are announced through the real Redis."""
    from predictions.worker import drain

    # Only the read at the end of a wait sees the rows of an open transaction, so a wait must be short.
    settings.WAIT_MAX = 0.2
    monkeypatch.setattr(notifications, "notify", lambda lane: drain.serve(lane, time.monotonic() + 60))


@pytest.fixture
def infer(client: ApiClient) -> Infer:
    """Posts tensors to a model. Each tensor is (name, shape, datatype, data)."""

    def post(model: str, *tensors: tuple[str, list[int], str, list[Any]], path: str = "infer", **members: Any) -> Any:
        inputs = [dict(zip(("name", "shape", "datatype", "data"), tensor, strict=True)) for tensor in tensors]
        headers = members.pop("headers", {})
        body = json.dumps({"inputs": inputs, **members})
        return client.post(f"/v2/models/{model}/{path}", body, content_type="application/json", headers=headers)

    return post


@pytest.fixture
def second_iris(registered: dict[str, RegisteredModel], models_dir: Path) -> Iterator[ModelVersion]:
    """A second version of iris, with other labels. The first version serves."""
    versions = models_dir / "iris/versions"
    shutil.copytree(versions / "1", versions / "2")
    try:
        path = versions / "2/version.json"
        labels = ["one", "two", "three"]
        manifest = json.loads(path.read_text()) | {"version": 2, "labels": labels}
        manifest["target"]["labels"] = list(enumerate(labels))
        path.unlink()
        path.write_text(json.dumps(manifest))
        assert registry.sync(models_dir) == []
        yield ModelVersion.objects.get(registered_model__name="iris", number=2)
    finally:
        shutil.rmtree(versions / "2")
