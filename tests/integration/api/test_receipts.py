"""The receipt of a prediction, by the API and on its page."""

import hashlib
import json
import socket
from typing import Any

import pytest

from predictions.models import ModelVersion, State
from tests.integration.conftest import IRIS, SETOSA, make, run_worker
from tests.support.api_client import ApiClient
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db(transaction=True)


def receipt(client: ApiClient, pk: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/predictions/{pk}/receipt/")
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def sha256(value: Any) -> str:
    """The SHA-256 of canonical JSON. Python and ECMAScript write the numbers of these tests in the same way."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def test_receipt_names_artefact_libraries_engine_and_times(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED, attempts=1, machine="worker-7")
    prediction = client.get(f"/api/v1/predictions/{row.pk}/").json()

    found = receipt(client, row.pk)

    compiled = iris.manifest["compiled"]
    assert found == {
        "prediction": str(row.pk),
        "model": "iris",
        "version": 1,
        "status": "succeeded",
        "artifact": {
            "sha256": iris.sha256,
            "bytes": iris.manifest["bytes"],
            "compiled_sha256": compiled["sha256"] if compiled else None,
        },
        "engine": "onnx" if compiled else "estimator",
        "libraries": iris.manifest["libraries"],
        "input": {"sha256": sha256(prediction["features"])},
        "output": {"sha256": sha256(SETOSA)},
        "attempts": 1,
        "machine": "worker-7",
        "created_at": prediction["created_at"],
        "started_at": prediction["started_at"],
        "finished_at": prediction["finished_at"],
        "timing": prediction["timing"],
    }


def test_receipt_names_the_machine_that_answered(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris)
    run_worker(iris)
    assert receipt(client, row.pk)["machine"] == socket.gethostname()[:64]
    assert socket.gethostname()[:64] in Client().get(f"/predictions/{row.pk}/").content.decode()


def test_receipt_before_the_end_has_no_output(client: ApiClient, iris: ModelVersion) -> None:
    found = receipt(client, make(iris, State.QUEUED).pk)
    assert (found["status"], found["output"], found["finished_at"]) == ("queued", {"sha256": None}, None)


def test_same_values_have_the_same_hash_and_other_values_another(client: ApiClient, iris: ModelVersion) -> None:
    first, same, other = (make(iris, State.SUCCEEDED, values=values) for values in (IRIS, IRIS, [*IRIS[:3], 0.3]))
    hashes = [receipt(client, row.pk)["input"]["sha256"] for row in (first, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_version_without_a_compiled_form_is_executed_by_the_estimator(client: ApiClient, iris: ModelVersion) -> None:
    ModelVersion.objects.filter(pk=iris.pk).update(manifest={**iris.manifest, "compiled": None})
    found = receipt(client, make(iris, State.SUCCEEDED).pk)
    assert (found["engine"], found["artifact"]["compiled_sha256"]) == ("estimator", None)


def test_page_shows_the_receipt_when_the_prediction_has_ended(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)
    page = Client().get(f"/predictions/{row.pk}/").content.decode()
    assert iris.sha256 in page
    assert receipt(client, row.pk)["input"]["sha256"] in page
    assert iris.sha256 not in Client().get(f"/predictions/{make(iris, State.QUEUED).pk}/").content.decode()
