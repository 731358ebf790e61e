"""gzip of request bodies and of replies."""

import gzip
import json
import zlib
from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.models import ModelVersion, Prediction, State
from tests.integration.api.conftest import problem
from tests.integration.conftest import IRIS, make
from tests.support.api_client import ApiClient

PREDICT = "/api/v1/models/iris/predictions/"
INFER = "/v2/models/iris/infer"
ROWS = json.dumps({"rows": [IRIS] * 20}).encode()
PACKED = {"Content-Encoding": "gzip"}
TAKES = {"Accept-Encoding": "gzip"}


# --- Requests ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coding", ["gzip", "GZIP", " gzip "])
def test_compressed_rows_are_accepted(client: ApiClient, iris: ModelVersion, coding: str) -> None:
    response = client.post(PREDICT, gzip.compress(ROWS), headers={"Content-Encoding": coding})
    assert (response.status_code, Prediction.objects.count()) == (202, 20)


@pytest.mark.parametrize("path", [PREDICT, PREDICT.rstrip("/"), INFER, "/v2/models/iris/versions/1/infer"])
def test_body_that_unpacks_to_too_much_is_413(client: ApiClient, iris: ModelVersion, path: str, settings: Any) -> None:
    bomb = gzip.compress(b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    assert len(bomb) < 10_000
    assert client.post(path, bomb, headers=PACKED).status_code == 413


def test_body_of_the_largest_size_is_unpacked(client: ApiClient, iris: ModelVersion, settings: Any) -> None:
    packed = gzip.compress(ROWS.ljust(settings.DATA_UPLOAD_MAX_MEMORY_SIZE))
    assert client.post(PREDICT, packed, headers=PACKED).status_code == 202


@pytest.mark.parametrize(
    "body", [ROWS, gzip.compress(ROWS)[:-1], gzip.compress(ROWS)[:20], zlib.compress(ROWS), gzip.compress(ROWS) + b"{}"]
)
def test_body_that_is_no_gzip_is_400(client: ApiClient, iris: ModelVersion, body: bytes) -> None:
    assert problem(client.post(PREDICT, body, headers=PACKED), 400)
    assert not Prediction.objects.exists()


def test_empty_compressed_body_is_400(client: ApiClient, iris: ModelVersion) -> None:
    for body in (b"", gzip.compress(b"")):
        assert problem(client.post(PREDICT, body, headers=PACKED), 400)["code"] == "not_json"


# --- Replies ----------------------------------------------------------------------------------------------------------
def test_large_reply_is_compressed_for_a_client_that_takes_it(client: ApiClient, iris: ModelVersion) -> None:
    plain = client.get("/api/v1/models/breast-cancer/")
    packed = client.get("/api/v1/models/breast-cancer/", headers=TAKES)

    assert (packed["Content-Encoding"], packed["Vary"], plain["Vary"]) == ("gzip", "Accept-Encoding", "Accept-Encoding")
    assert "Content-Encoding" not in plain
    assert gzip.decompress(packed.content) == plain.content
    assert int(packed["Content-Length"]) == len(packed.content) < len(plain.content)


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip, deflate, br", True), ("*", True), ("x-gzip", True), ("br;q=1, gzip;q=0.5", True), ("GZIP", True),
        ("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.000", False), ("*;q=1, gzip;q=0", False),
    ],
)  # fmt: skip
def test_client_decides(client: ApiClient, iris: ModelVersion, accepted: str, is_packed: bool) -> None:
    response = client.get("/api/v1/models/breast-cancer/", headers={"Accept-Encoding": accepted})
    assert ("Content-Encoding" in response) == is_packed


def test_one_prediction_is_not_compressed(client: ApiClient, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)
    response = client.get(f"/api/v1/predictions/{row.pk}/", headers=TAKES)
    assert "Content-Encoding" not in response
    assert response["ETag"] == '"succeeded-1"'


def test_secret_is_not_compressed(iris: ModelVersion, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.api.codings.WORTH_IT", 1)
    program = ApiClient(owner)
    assert "Content-Encoding" in program.get("/api/v1/models/", headers=TAKES)
    assert "Content-Encoding" not in program.get("/api/v1/webhooks/secret/", headers=TAKES)


def test_compressed_prediction_is_known_by_its_weak_etag(
    client: ApiClient, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.api.codings.WORTH_IT", 1)
    path = f"/api/v1/predictions/{make(iris, State.SUCCEEDED).pk}/"
    etag = client.get(path, headers=TAKES)["ETag"]
    assert etag == 'W/"succeeded-1"'
    assert client.get(path, headers={**TAKES, "If-None-Match": etag}).status_code == 304


def test_vary_names_the_origin_too(client: ApiClient, iris: ModelVersion, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example.org"]
    assert client.get("/api/v1/models/breast-cancer/", headers=TAKES)["Vary"] == "Origin, Accept-Encoding"
