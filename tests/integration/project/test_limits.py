"""Bodies that are too large, compressed, or without a length, at every door."""

import json

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from predictions.models import ModelVersion, Prediction
from tests.integration.conftest import IRIS
from tests.support.door import in_chunks, open_door
from tests.support.site_client import Client

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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("said", ["x", "", "-1"])
def test_length_that_is_none_is_no_error_of_ours(iris: ModelVersion, said: str) -> None:
    """What has come is known without it."""
    with open_door() as server:
        assert server.ask("POST", API, ROW, Content_Type="application/json", Content_Length=said).status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", DOORS)
def test_too_large_in_chunks_is_413_and_is_not_read_to_its_end(iris: ModelVersion, door: str) -> None:
    body = in_chunks(*[b" " * LIMIT] * 3)

    with open_door() as server:
        answer = server.ask("POST", door, body, Content_Type="application/json", Transfer_Encoding="chunked")

    assert (answer.status_code, body.taken) == (413, 2)
    check(door, answer.headers["content-type"], answer.content)


@pytest.mark.django_db(transaction=True)
def test_row_in_chunks_is_a_row(iris: ModelVersion) -> None:
    with open_door() as server:
        chunks = in_chunks(ROW[:9], ROW[9:])
        answer = server.ask("POST", API, chunks, Content_Type="application/json", Transfer_Encoding="chunked")

    assert (answer.status_code, answer.json()["features"]["sepal length (cm)"]) == (202, 5.1)


@pytest.mark.parametrize("address", ["/", "/api/v1/models/", "/v2"])
def test_foreign_host_is_answered_in_the_words_of_the_door(client: Client, db: None, address: str) -> None:
    response = client.get(address, headers={"Host": "example.org"})

    assert response.status_code == 400
    assert (b"<h1>" in response.content) == (address == "/")
