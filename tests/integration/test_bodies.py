"""Bodies that are too large, compressed, or without a length, at every door."""

import io
import json
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import Client
from project.wsgi import application

from predictions.models import ModelVersion, Prediction
from tests.integration.conftest import IRIS

LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
API, PROTOCOL, FORM = "/api/v1/models/iris/predictions/", "/v2/models/iris/infer", "/models/iris/predictions/"
DOORS = [API, PROTOCOL, FORM]
ROW = json.dumps({"features": IRIS}).encode()


def check(door: str, content_type: str, content: bytes) -> None:
    """In the words of the door."""
    expected = {API: "application/problem+json", PROTOCOL: "application/json", FORM: "text/html; charset=utf-8"}
    assert content_type == expected[door]
    assert (b"<h1>" in content) == (door == FORM)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("door", DOORS)
def test_too_large_is_413(client: Client, iris: ModelVersion, door: str, content_type: str) -> None:
    response = client.post(door, b" " * LIMIT + b"{}", content_type=content_type)

    assert response.status_code == 413
    check(door, response["Content-Type"], response.content)


@pytest.mark.parametrize("door", DOORS)
def test_large_file_is_413_and_is_not_written_to_the_disk(client: Client, iris: ModelVersion, door: str) -> None:
    response = client.post(door, {"file": SimpleUploadedFile("rows.csv", b" " * LIMIT)})

    assert response.status_code == 413
    check(door, response["Content-Type"], response.content)


@pytest.mark.parametrize("encoding", ["gzip", "br", "GZIP", "x"])
@pytest.mark.parametrize("door", DOORS)
def test_compressed_is_415(client: Client, iris: ModelVersion, door: str, encoding: str) -> None:
    response = client.post(door, ROW, content_type="application/json", headers={"Content-Encoding": encoding})

    assert response.status_code == 415
    check(door, response["Content-Type"], response.content)


def test_identity_is_no_compression(client: Client, iris: ModelVersion) -> None:
    response = client.post(API, ROW, content_type="application/json", headers={"Content-Encoding": "identity"})

    assert response.status_code == 202


@pytest.mark.parametrize(("said", "status"), [("x", 422), ("", 422), ("-1", 400)])
def test_length_that_is_none_is_no_error_of_ours(iris: ModelVersion, said: str, status: int) -> None:
    assert send(API, ROW, CONTENT_LENGTH=said)[0] == status


def send(door: str, body: bytes, **said: Any) -> tuple[int, str, bytes]:
    """Through the application as a server calls it."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": door,
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "localhost",
        "wsgi.input": io.BytesIO(body),
        **said,
    }
    setup_testing_defaults(environ)
    answered: list[Any] = []
    request_started.disconnect(close_old_connections)  # as the test client does, to keep the test's transaction
    try:
        content = b"".join(application(environ, lambda *head: answered.extend(head)))
    finally:
        request_started.connect(close_old_connections)
    return int(answered[0].split()[0]), dict(answered[1])["Content-Type"], content


@pytest.mark.parametrize("door", DOORS)
def test_too_large_in_chunks_is_413_and_is_not_read_to_its_end(iris: ModelVersion, door: str) -> None:
    body = io.BytesIO(b" " * (LIMIT * 3))

    status, content_type, content = send(door, b"", HTTP_TRANSFER_ENCODING="chunked", **{"wsgi.input": body})

    assert (status, body.tell()) == (413, LIMIT + 1)
    check(door, content_type, content)


def test_row_in_chunks_is_a_row(iris: ModelVersion) -> None:
    status, _, content = send(API, ROW, HTTP_TRANSFER_ENCODING="chunked")

    assert (status, json.loads(content)["features"]["sepal length (cm)"]) == (202, 5.1)


@pytest.mark.parametrize("address", ["/", "/api/v1/models/", "/v2"])
def test_foreign_host_is_answered_in_the_words_of_the_door(client: Client, db: None, address: str) -> None:
    response = client.get(address, headers={"Host": "example.org"})

    assert response.status_code == 400
    assert (b"<h1>" in response.content) == (address == "/")
