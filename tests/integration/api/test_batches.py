"""Files through the API."""

import io
import json
from typing import Any
from uuid import uuid4

import pytest
from pyarrow import parquet
from python_calamine import CalamineWorkbook

from predictions.models import BatchChunk, BatchJob, JobState, RegisteredModel
from tests.integration.api.conftest import problem
from tests.support.api_client import ApiClient
from tests.support.files import GOOD, NAMES, bad_rows, execute, form, results, text

pytestmark = pytest.mark.django_db
URL = "/api/v1/batches/"


@pytest.fixture(autouse=True)
def _models(registered: dict[str, RegisteredModel]) -> None:
    """The demo models serve."""


def send(client: ApiClient, content: bytes, address: str = URL, model: str = "iris", **more: Any) -> Any:
    body, content_type = form(model, content, **more.pop("fields", {}))
    return client.post(address, body, content_type=content_type, **more)


def job_of(response: Any) -> BatchJob:
    return BatchJob.objects.get(pk=response.json()["id"])


def test_file_is_accepted_scored_and_read_back(client: ApiClient) -> None:
    response = send(client, text([GOOD, ["x", *GOOD[1:]]]))
    body = response.json()
    assert response.status_code == 202
    assert response["Location"] == body["urls"]["self"]
    assert (body["model"], body["version"], body["status"], body["rows"]) == ("iris", 1, "queued", 0)
    assert body["urls"].keys() >= {"self", "page", "results", "errors", "cancel"}
    execute(job_of(response))
    body = client.get(body["urls"]["self"]).json()
    assert (body["status"], body["rows"], body["done"], body["good"], body["bad"], body["failed"]) == (
        "finished", 2, 2, 1, 1, 1,
    )  # fmt: skip
    answered = client.get(body["urls"]["results"])
    assert answered["Content-Type"] == "text/csv; charset=utf-8"
    assert answered.content.decode().splitlines()[1].split(",")[:5] == [*GOOD, "setosa"]
    assert client.get(body["urls"]["errors"]).content.decode().splitlines()[1].split(",")[4:] == [
        "3",
        f"{NAMES[0]}: wrong_type: Must be a number.",
    ]


def test_rows_of_json_are_a_file_too(client: ApiClient) -> None:
    rows = [dict(zip(NAMES, map(float, GOOD), strict=True)), [5.1, "x", 1.4, 0.2]]
    response = client.post(URL, json.dumps({"model": "iris", "rows": rows}))
    assert response.status_code == 202
    job = execute(job_of(response))
    assert [row["prediction"] for row in results(job)] == ["setosa", ""]


def test_same_idempotency_key_gives_the_same_job(client: ApiClient) -> None:
    headers = {"Idempotency-Key": "k"}
    first = send(client, text([GOOD]), headers=headers)
    assert send(client, text([GOOD]), headers=headers).json()["id"] == first.json()["id"]
    problem(send(client, text([GOOD, GOOD]), headers=headers), 422)
    assert BatchJob.objects.count() == 1


@pytest.mark.parametrize(("version", "status"), [("1", 202), ("champion", 202), ("7", 404), ("nothing", 404)])
def test_file_may_ask_for_a_version(client: ApiClient, version: str, status: int) -> None:
    response = send(client, text([GOOD]), fields={"version": version})
    assert response.status_code == status
    if status == 202:
        assert response.json()["version"] == 1


def test_version_of_another_type_is_refused(client: ApiClient) -> None:
    response = client.post(URL, json.dumps({"model": "iris", "version": [1], "rows": [[5.1, 3.5, 1.4, 0.2]]}))
    assert problem(response, 422)["errors"][0]["pointer"] == "/version"


def test_key_of_another_version_is_refused(client: ApiClient) -> None:
    headers = {"Idempotency-Key": "k"}
    assert send(client, text([GOOD]), headers=headers).status_code == 202
    body = problem(send(client, text([GOOD]), fields={"version": "1"}, headers=headers), 422)
    assert body["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x", "text/csv"])
def test_empty_body_is_400(client: ApiClient, content_type: str) -> None:
    assert "empty" in problem(client.post(URL, b"", content_type=content_type), 400)["detail"]


def test_other_type_is_refused_with_those_that_are_accepted(client: ApiClient) -> None:
    refused = client.post(URL, text([GOOD]), content_type="text/csv")
    assert problem(refused, 415)["detail"] == "Send the body as multipart/form-data or application/json."
    assert refused["Accept"] == "multipart/form-data, application/json"


def test_part_without_a_name_is_a_csv_file(client: ApiClient) -> None:
    parts = {"model": "iris", "file": text([GOOD]).decode()}
    sent = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{part}\r\n' for name, part in parts.items()
    )
    response = client.post(URL, f"{sent}--x--\r\n".encode(), content_type="multipart/form-data; boundary=x")
    assert response.status_code == 202
    assert execute(job_of(response)).state == JobState.FINISHED


@pytest.mark.parametrize("value", ["9" * 30, '"\\ud800"', "1e400"], ids=["large", "half a pair", "infinite"])
def test_rows_of_json_may_have_what_no_feature_takes(client: ApiClient, value: str) -> None:
    response = client.post(URL, f'{{"model": "iris", "rows": [[{value}, 3.5, 1.4, 0.2], [5.1, 3.5, 1.4, 0.2]]}}')
    assert response.status_code == 202
    execute(job_of(response))
    body = client.get(response.json()["urls"]["self"]).json()
    assert (body["status"], body["good"], body["bad"]) == ("finished", 1, 1)


def test_problems_of_all_members_are_named_at_once(client: ApiClient) -> None:
    refused = problem(client.post(URL, json.dumps({"version": True, "rows": []})), 422)
    assert [one["pointer"] for one in refused["errors"]] == ["/model", "/version", "/rows"]


def test_missing_columns_are_named(client: ApiClient) -> None:
    body = problem(send(client, text([GOOD[:3]], NAMES[:3])), 422)
    assert [(entry["pointer"], entry["code"]) for entry in body["errors"]] == [("/file", "missing_column")]
    assert NAMES[3] in body["errors"][0]["message"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x1f\x8b\x08\x00", 415),
        (b"%PDF-1.7", 415),
        (b"\x00\x01\x02\x03\x04" * 100, 415),
        (b"PK\x03\x04 no archive", 415),
        (b"", 422),
    ],
)
def test_other_content_is_refused(client: ApiClient, content: bytes, status: int) -> None:
    problem(send(client, content), status)
    assert not BatchJob.objects.exists()


def test_file_over_the_limit_is_refused_before_it_is_read(client: ApiClient, settings: Any) -> None:
    settings.BATCH_BYTES = 1000
    body, content_type = form("iris", b"x" * 200_000)
    assert problem(client.post(URL, body, content_type=content_type), 413)["code"] == "file_too_large"


def test_corrections_complete_the_results(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([GOOD, ["x", *GOOD[1:]]]))))
    [bad] = bad_rows(job)
    bad[NAMES[0]] = "5.1"
    response = send(client, text([list(bad.values())], list(bad)), f"{URL}{job.pk}/corrections/", model="")
    assert (response.status_code, response.json()["status"]) == (202, "running")
    assert [row["prediction"] for row in results(execute(job))] == ["setosa", "setosa"]
    problem(send(client, text([GOOD]), f"{URL}{job.pk}/corrections/", model=""), 409)


def test_unused_corrections_are_told(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([GOOD, ["x", *GOOD[1:]]]))))
    address = f"{URL}{job.pk}/"
    assert client.get(address).json()["corrections"] is None

    sent = send(client, text([[*GOOD, "3"], [*GOOD, "2"]], [*NAMES, "line"]), f"{address}corrections/", model="")
    assert sent.json()["corrections"] is None  # they are not read yet

    execute(job)
    told = {"rows": 2, "unused": 1, "lines": [2], "error": None}
    assert client.get(address).json()["corrections"] == told
    assert client.get(URL).json()["results"][0]["corrections"] == told


def test_canceled_corrections_are_told(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([GOOD, ["x", *GOOD[1:]]]))))
    send(client, text([[*GOOD, "3"]], [*NAMES, "line"]), f"{URL}{job.pk}/corrections/", model="")

    ended = client.post(f"{URL}{job.pk}/cancel/").json()

    assert (ended["status"], ended["good"], ended["bad"]) == ("finished", 1, 1)
    error = {"code": "canceled", "message": "They were canceled, or their time was over."}
    assert ended["corrections"] == {"rows": None, "unused": None, "lines": [], "error": error}


def test_repeated_corrections_with_one_key_are_accepted_once(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([GOOD, ["x", *GOOD[1:]]]))))
    address = f"{URL}{job.pk}/corrections/"
    [bad] = bad_rows(job)
    content = text([[*GOOD, *list(bad.values())[4:]]], list(bad))
    key = {"Idempotency-Key": "corrections-of-the-flowers"}

    answers = [send(client, content, address, model="", headers=key) for _ in range(2)]
    execute(job)
    answers.append(send(client, content, address, model="", headers=key))

    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [
        (202, "running"), (202, "running"), (202, "finished"),
    ]  # fmt: skip
    assert [row["prediction"] for row in results(job)] == ["setosa", "setosa"]
    assert job.chunks.filter(kind=BatchChunk.READ).count() == 2  # of the file and of the corrections
    assert problem(send(client, text([GOOD]), address, model="", headers=key), 422)["code"] == "idempotency_key_reused"


def test_corrections_whose_key_belongs_to_another_file_change_nothing(client: ApiClient) -> None:
    key = {"Idempotency-Key": "the-key-of-the-first-file"}
    job = execute(job_of(send(client, text([GOOD, ["x", *GOOD[1:]]]), headers=key)))

    problem(send(client, text([GOOD]), f"{URL}{job.pk}/corrections/", model="", headers=key), 422)

    job.refresh_from_db()
    assert job.state == JobState.FINISHED


def test_cancel_ends_a_job_once(client: ApiClient) -> None:
    job = job_of(send(client, text([GOOD])))
    assert client.post(f"{URL}{job.pk}/cancel/").json()["status"] == "canceled"
    problem(client.post(f"{URL}{job.pk}/cancel/"), 409)


def test_job_of_another_is_not_found(client: ApiClient, settings: Any) -> None:
    problem(client.get(f"{URL}{uuid4()}/"), 404)


def test_list_has_my_jobs_newest_first(client: ApiClient) -> None:
    ids = [send(client, text([GOOD])).json()["id"] for _ in range(2)]
    assert [one["id"] for one in client.get(URL).json()["results"]] == ids[::-1]


def test_results_as_workbook_and_parquet_hold_numbers(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([[*GOOD, "=x"], ["x", *GOOD[1:], "-7"]], [*NAMES, "note"]))))
    book = CalamineWorkbook.from_filelike(io.BytesIO(client.get(f"{URL}{job.pk}/results/?format=xlsx").content))
    head, first, second = book.get_sheet_by_index(0).to_python()
    assert head[:6] == [*NAMES, "note", "prediction"]
    assert first[:6] == [*map(float, GOOD), "=x", "setosa"]
    assert second[:6] == ["x", *map(float, GOOD[1:]), "-7", ""]
    table = parquet.read_table(io.BytesIO(client.get(f"{URL}{job.pk}/results/?format=parquet").content))
    assert table.column(NAMES[0]).to_pylist() == [5.1, None]
    assert table.column("note").to_pylist() == ["=x", "-7"]


def test_unknown_format_is_refused(client: ApiClient) -> None:
    job = execute(job_of(send(client, text([GOOD]))))
    problem(client.get(f"{URL}{job.pk}/results/?format=pdf"), 422)
