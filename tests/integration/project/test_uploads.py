"""Uploads: a sender whose file is not wanted is refused before the body is received."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from predictions.models import BatchJob, JobState, ModelVersion
from predictions.use_cases.callers import of_address
from tests.support.door import Body, Door, open_door
from tests.support.files import form, make_job, text

pytestmark = pytest.mark.django_db(transaction=True)
PAGE, API = "/batches/new/?model=iris", "/api/v1/batches/"
GIGABYTE = str(1024**3)


@pytest.fixture
def door(iris: ModelVersion) -> Iterator[Door]:
    with open_door() as door:
        yield door


def upload(door: Door, address: str, length: str | None = None, **headers: str) -> tuple[Any, Body]:
    content, content_type = form("iris", text([]))
    body = Body([{"type": "http.request", "body": content, "more_body": False}])
    said = {"Content_Length": length or str(len(content)), "Content_Type": content_type, **headers}
    return door.ask("POST", address, body, **said), body


@pytest.mark.parametrize(("address", "status"), [(PAGE, 302), (API, 401)])
def test_sender_without_sign_in_is_refused_before_the_body(
    door: Door, settings: Any, address: str, status: int
) -> None:
    settings.PUBLIC_PREDICTIONS = False

    answer, body = upload(door, address)

    assert (answer.status_code, body.taken) == (status, 0)
    assert "/accounts/login/" in answer.headers.get("location", "") or address == API


@pytest.mark.parametrize(("address", "status"), [(PAGE, 303), (API, 429)])
def test_sender_with_too_many_files_is_refused_before_the_body(
    door: Door, iris: ModelVersion, settings: Any, address: str, status: int
) -> None:
    settings.BATCH_JOBS_PER_CALLER = 0

    answer, body = upload(door, address)

    assert (answer.status_code, body.taken) == (status, 0)
    assert answer.headers.get("location", PAGE) == PAGE


@pytest.mark.parametrize(("address", "status"), [(PAGE, 413), (API, 413)])
def test_file_over_the_limit_is_refused_before_the_body(door: Door, settings: Any, address: str, status: int) -> None:
    settings.BATCH_BYTES = 1000

    answer, body = upload(door, address, GIGABYTE)

    assert (answer.status_code, body.taken) == (status, 0)


@pytest.mark.parametrize(("address", "status"), [(PAGE, 303), (API, 413)])
def test_file_that_the_disk_has_no_room_for_is_refused_before_the_body(
    door: Door, settings: Any, address: str, status: int
) -> None:
    settings.BATCH_BYTES = 10**17

    answer, body = upload(door, address, str(10**16))

    assert (answer.status_code, body.taken) == (status, 0)


@pytest.mark.parametrize("prefix", ["/batches/", API])
def test_corrections_of_an_unknown_job_are_refused_before_the_body(door: Door, prefix: str) -> None:
    answer, body = upload(door, f"{prefix}{uuid4()}/corrections/")

    assert (answer.status_code, body.taken) == (404, 0)


def test_corrections_of_an_unfinished_job_are_refused_before_the_body(door: Door, iris: ModelVersion) -> None:
    job = make_job(iris, caller=of_address("127.0.0.1").key)

    answer, body = upload(door, f"{API}{job.pk}/corrections/")

    assert (answer.status_code, answer.json()["code"], body.taken) == (409, "not_correctable", 0)


@pytest.mark.parametrize("headers", [{}, {"Idempotency_Key": "a-key-that-is-long-enough-to-be-random"}])
def test_corrections_of_a_file_of_another_are_refused_before_the_body(
    door: Door, iris: ModelVersion, headers: dict[str, str]
) -> None:
    job = make_job(iris, caller="visitor:another", state=JobState.FINISHED)

    answer, body = upload(door, f"{API}{job.pk}/corrections/", **headers)

    assert (answer.status_code, body.taken) == (403, 0)


def test_repeated_key_finds_its_job_although_there_are_too_many(door: Door, settings: Any) -> None:
    first, _ = upload(door, API, Idempotency_Key="a-key-that-is-long-enough-to-be-random")
    settings.BATCH_JOBS_PER_CALLER = 1

    again, body = upload(door, API, Idempotency_Key="a-key-that-is-long-enough-to-be-random")

    assert (again.status_code, again.json()["id"], body.taken) == (202, first.json()["id"], 1)
    assert BatchJob.objects.count() == 1


def test_large_file_is_accepted_under_a_prefix(door: Door, settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/apps"
    content, content_type = form("iris", b"x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    answer = door.ask("POST", f"/apps{PAGE}", content, Content_Type=content_type)

    assert answer.status_code == 403  # a form without a CSRF token; a body over the limit would be 413
