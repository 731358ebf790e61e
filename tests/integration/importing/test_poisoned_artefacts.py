"""A worker never opens an artefact that is not the registered one, whatever the files beside it say."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.linear_model import Ridge

from predictions.models import Prediction
from tests.integration.importing.conftest import Bring
from tests.support.api_client import ApiClient
from tests.support.brought import table


class Poison:
    """Makes a folder when it is unpickled."""

    def __init__(self, written: Path) -> None:
        self.written = written

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.written),)


@pytest.fixture
def version(bring: Bring, models: Path) -> Path:
    frame = table()[["weight", "price"]]
    bring(Ridge().fit(frame[["weight"]], frame["price"]), frame, "price")
    return models / "mine/versions/1"


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def ask() -> Prediction:
    response = ApiClient().post("/api/v1/models/mine/predictions/", json.dumps({"features": {"weight": 0.5}}))
    assert response.status_code in (200, 202), response.content
    return Prediction.objects.get(pk=response.json()["id"])


@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "own"])
@pytest.mark.parametrize("is_announced", [True, False], ids=["manifest changed too", "artefact alone"])
def test_poisoned_artefact_is_not_opened(
    version: Path, tmp_path: Path, is_compiled: bool, is_announced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from predictions.worker import preload

    monkeypatch.setattr(preload.loader, "_use_compiled", is_compiled)
    joblib.dump(Poison(tmp_path / "written"), tmp_path / "poison")
    content = (tmp_path / "poison").read_bytes()
    replace(version / "estimator.joblib", content)
    if is_announced:
        manifest = json.loads((version / "version.json").read_text())
        manifest |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        replace(version / "version.json", json.dumps(manifest).encode())

    prediction = ask()

    assert (prediction.state, prediction.error_code) == ("failed", "model_unavailable")
    assert not (tmp_path / "written").exists()
    joblib.load(tmp_path / "poison")  # shows that unpickling it has this effect
    assert (tmp_path / "written").exists()
