"""Request bodies that are too large, compressed or chunked, on all interfaces."""

import json
from itertools import product

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from predictions.models import ModelVersion, Prediction
from tests.integration.conftest import IRIS
from tests.support.door import in_chunks, open_door
from tests.support.site_client import Client

LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
API, PROTOCOL, FORM = "/api/v1/models/iris/predictions/", "/v2/models/iris/infer", "/models/iris/predictions/"
ADDRESSES = [API, PROTOCOL, FORM]
ROW = json.dumps({"features": IRIS}).encode()


def check_refusal(address: str, content_type: str, content: bytes) -> None:
    """The response has the format of its interface, and nothing is stored."""
    expected = {API: "application/problem+json", PROTOCOL: "application/json", FORM: "text/html; charset=utf-8"}
    assert content_type == expected[address]
    assert (b"<h1>" in content) == (address == FORM)
    assert Prediction.objects.count() == 0


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_too_large_body_is_413(client: Client, iris: ModelVersion, address: str, content_type: str) -> None:
    response = client.post(address, b" " * LIMIT + b"{}", content_type=content_type)

    assert response.status_code == 413
    check_refusal(address, response["Content-Type"], response.content)


@pytest.mark.parametrize("address", ADDRESSES)
def test_too_large_file_is_413(client: Client, iris: ModelVersion, address: str) -> None:
    response = client.post(address, {"file": SimpleUploadedFile("rows.csv", b" " * LIMIT)})

    assert response.status_code == 413
    check_refusal(address, response["Content-Type"], response.content)


@pytest.mark.parametrize(
    ("address", "encoding"), [*product(ADDRESSES, ["br", "deflate", "gzip, gzip", "x"]), (FORM, "gzip"), (FORM, "GZIP")]
)
def test_compressed_body_is_415(client: Client, iris: ModelVersion, address: str, encoding: str) -> None:
    response = client.post(address, ROW, content_type="application/json", headers={"Content-Encoding": encoding})

    assert response.status_code == 415
    check_refusal(address, response["Content-Type"], response.content)


def test_identity_encoding_is_accepted(client: Client, iris: ModelVersion) -> None:
    response = client.post(API, ROW, content_type="application/json", headers={"Content-Encoding": "identity"})

    assert response.status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("length", ["x", "", "-1"])
def test_invalid_content_length_is_ignored(iris: ModelVersion, length: str) -> None:
    """The server knows the length of the received body."""
    with open_door() as server:
        assert server.ask("POST", API, ROW, Content_Type="application/json", Content_Length=length).status_code == 202


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", ADDRESSES)
def test_too_large_chunked_body_is_413_and_is_not_read_to_its_end(iris: ModelVersion, address: str) -> None:
    body = in_chunks(*[b" " * LIMIT] * 3)

    with open_door() as server:
        answer = server.ask("POST", address, body, Content_Type="application/json", Transfer_Encoding="chunked")

    assert (answer.status_code, body.taken) == (413, 2)
    check_refusal(address, answer.headers["content-type"], answer.content)


@pytest.mark.django_db(transaction=True)
def test_chunked_row_is_accepted(iris: ModelVersion) -> None:
    with open_door() as server:
        chunks = in_chunks(ROW[:9], ROW[9:])
        answer = server.ask("POST", API, chunks, Content_Type="application/json", Transfer_Encoding="chunked")

    assert (answer.status_code, answer.json()["features"]["sepal length (cm)"]) == (202, 5.1)


@pytest.mark.parametrize("address", ["/", "/api/v1/models/", "/v2"])
def test_foreign_host_is_400_in_the_format_of_its_interface(client: Client, db: None, address: str) -> None:
    response = client.get(address, headers={"Host": "example.org"})

    assert response.status_code == 400
    assert (b"<h1>" in response.content) == (address == "/")
