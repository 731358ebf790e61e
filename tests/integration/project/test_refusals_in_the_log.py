"""A request that is refused before a view is one line of the log, which names the setting, and no traceback."""

import logging
from collections.abc import Iterator
from io import StringIO

import pytest
from django.conf import settings

from predictions.models import ModelVersion
from tests.support.site_client import Client

FORM, API = "/models/iris/predictions/", "/api/v1/models/iris/predictions/"


@pytest.fixture
def log() -> Iterator[StringIO]:
    """All that the configured handler writes."""
    (console,) = (one for one in logging.getLogger().handlers if type(one) is logging.StreamHandler)
    written = StringIO()
    before = console.setStream(written)
    yield written
    console.setStream(before)


def only_line(log: StringIO) -> str:
    (line,) = log.getvalue().splitlines()
    return line


@pytest.mark.parametrize("path", ["/", "/api/v1/models/"])
def test_refused_host_is_a_line_that_names_allowed_hosts(db: None, log: StringIO, path: str) -> None:
    assert Client().get(path, headers={"Host": "elsewhere.example"}).status_code == 400

    line = only_line(log)
    assert "elsewhere.example" in line
    assert "ALLOWED_HOSTS" in line


def test_too_many_fields_are_a_line_that_names_the_limit(iris: ModelVersion, log: StringIO) -> None:
    fields = {f"f{number}": "" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}

    assert Client().post(FORM, fields).status_code == 413

    assert "DATA_UPLOAD_MAX_NUMBER_FIELDS" in only_line(log)


@pytest.mark.parametrize("path", [FORM, API])
def test_too_large_body_is_a_line_that_names_the_limit(iris: ModelVersion, log: StringIO, path: str) -> None:
    body = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)

    assert Client().post(path, body, content_type="application/json").status_code == 413

    assert "DATA_UPLOAD_MAX_MEMORY_SIZE = 1048576" in only_line(log)


def test_unreadable_form_is_a_line(iris: ModelVersion, log: StringIO) -> None:
    assert Client().post(FORM, b"x", content_type="multipart/form-data").status_code == 400

    assert FORM in only_line(log)


@pytest.mark.parametrize("path", ["/no\nsuch", "/api/v1/no\nsuch"])
def test_path_with_a_newline_stays_one_line(db: None, log: StringIO, path: str) -> None:
    assert Client().get(path).status_code == 404

    assert only_line(log).endswith("]")


def test_too_large_file_is_a_line_that_names_its_limit(iris: ModelVersion, log: StringIO) -> None:
    assert Client().post("/batches/new/", CONTENT_LENGTH=str(2 * settings.BATCH_BYTES)).status_code == 413

    assert f"BATCH_BYTES = {settings.BATCH_BYTES}" in only_line(log)
