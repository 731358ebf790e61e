"""Pages of files."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from predictions.models import BatchJob, RegisteredModel
from tests.integration.web.conftest import Page
from tests.support.files import GOOD, NAMES, bad_rows, execute, results, text
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _models(registered: dict[str, RegisteredModel]) -> None:
    """The demo models serve."""


def upload(client: Client, content: bytes, name: str = "rows.csv") -> Any:
    return client.post(f"{reverse('new-batch')}?model=iris", {"file": SimpleUploadedFile(name, content)})


def start(client: Client, content: bytes) -> BatchJob:
    client.get(f"{reverse('new-batch')}?model=iris")
    preview = Page(client.get(upload(client, content)["Location"]))
    sent = client.post(f"{reverse('new-batch')}?model=iris", {"draft": preview.all("input", name="draft")[0]["value"]})
    assert sent.status_code == 303
    return BatchJob.objects.get(pk=sent["Location"].split("/")[2])


def test_preview_shows_what_was_found_and_the_problems_before_the_start(client: Client) -> None:
    content = text([["5,1", "3,5", "1,4", "0,2"], ["oops", "3,5", "1,4", "0,2"]], delimiter=";")
    page = Page(client.get(upload(client, content)["Location"]))
    assert "All 2 rows looked at." in page.text
    assert "1 problem found" in page.text
    assert "Must be a number." in page.text
    assert [option["value"] for option in page.all("option", selected="")] == [";", ",", "utf-8", "true"]
    assert not BatchJob.objects.exists()


def test_preview_says_that_no_number_shows_the_decimal_sign(client: Client) -> None:
    page = Page(client.get(upload(client, text([["5", "3", "1.250", "0"]], delimiter=";"))["Location"]))
    assert [option["value"] for option in page.all("option", selected="")] == [";", "", "utf-8", "true"]
    assert "1 problem found" in page.text
    assert "Can be read in two ways" in page.text


def test_preview_of_a_long_file_says_how_much_it_looked_at(client: Client) -> None:
    page = Page(client.get(upload(client, text([GOOD] * 250))["Location"]))
    assert "First 100 of 250 looked at." in page.text


@pytest.mark.parametrize("rows", [9, 90])
@pytest.mark.parametrize(
    ("encoding", "newline"), [("utf-8", "\r"), ("utf-8", "\r\n"), ("utf-16", "\n"), ("utf-16-be", "\n")]
)
@pytest.mark.parametrize("piece", [64, 1024 * 1024])
def test_preview_counts_the_rows_of_files_in_other_forms(
    client: Client, monkeypatch: pytest.MonkeyPatch, encoding: str, newline: str, rows: int, piece: int
) -> None:
    monkeypatch.setattr("predictions.batches.preview.PIECE_BYTES", piece)
    mark = "" if encoding in ("utf-8", "utf-16") else "\ufeff"
    content = (mark + text([GOOD] * rows).decode().replace("\n", newline)).encode(encoding)
    page = Page(client.get(upload(client, content)["Location"]))
    assert f"All {rows} rows looked at." in page.text


def test_file_without_columns_is_refused_with_their_names(client: Client) -> None:
    response = client.get(upload(client, text([GOOD[:3]], NAMES[:3]))["Location"])
    assert response.status_code == 422
    assert NAMES[3] in Page(response).text


def test_pasted_rows_are_a_file(client: Client) -> None:
    rows = text([GOOD], delimiter="\t").decode()
    response = client.post(f"{reverse('new-batch')}?model=iris", {"rows": rows})
    assert "The one row looked at." in Page(client.get(response["Location"])).text


def test_running_job_shows_its_progress_and_polls(client: Client) -> None:
    job = start(client, text([GOOD]))
    page = Page(client.get(reverse("batch", args=[job.pk])))
    assert page.one("progress")["value"] == "0"
    section = page.one("section", id=f"batch-{job.pk}")
    assert section["hx-get"] == f"{reverse('batch-status', args=[job.pk])}?attempt=1"
    assert section["data-state"] == "queued"


def test_capped_page_stops_polling_and_offers_a_link(client: Client, settings: Any) -> None:
    job = start(client, text([GOOD]))
    page = Page(client.get(f"{reverse('batch-status', args=[job.pk])}?attempt={settings.POLL_ATTEMPTS}"))
    assert "hx-get" not in page.one("section", id=f"batch-{job.pk}")
    assert "Check again" in page.text


def test_finished_job_says_what_came_of_its_rows(client: Client) -> None:
    job = execute(start(client, text([GOOD, ["x", *GOOD[1:]]])))
    page = Page(client.get(reverse("batch", args=[job.pk])))
    assert "1 of 2 rows are scored; 1 needs another look." in page.text
    assert "hx-get" not in page.one("section", id=f"batch-{job.pk}")
    assert reverse("batch-errors", args=[job.pk]) in [link["href"] for link in page.all("a", download="")]
    response = client.get(reverse("batch-results", args=[job.pk]))
    assert b"".join(response.streaming_content).count(b"\n") == 3


def test_job_without_a_good_row_says_so(client: Client) -> None:
    job = execute(start(client, text([["x", *GOOD[1:]]])))
    assert "The 1 row could not be scored." in Page(client.get(reverse("batch", args=[job.pk]))).text


def test_corrections_are_sent_from_the_page(client: Client) -> None:
    job = execute(start(client, text([GOOD, ["x", *GOOD[1:]]])))
    [bad] = bad_rows(job)
    bad[NAMES[0]] = "5.1"
    file = SimpleUploadedFile("bad.csv", text([list(bad.values())], list(bad)))
    client.post(reverse("batch-corrections", args=[job.pk]), {"file": file})
    assert [row["prediction"] for row in results(execute(job))] == ["setosa", "setosa"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["3"], ""),
        (["2"], "Not used: the 1 row that was sent. No row with an error has its line. Lines: 2."),
        (["3", ""], "Not used: 1 of the 2 rows that were sent. No row with an error has their line."),
        (["2", "2", ""], "Not used: 3 of the 3 rows that were sent. No row with an error has their line. Lines: 2."),
        ([], "The corrections had no rows."),
    ],
)
def test_page_names_corrections_that_were_not_used(client: Client, lines: list[str], told: str) -> None:
    job = execute(start(client, text([GOOD, ["x", *GOOD[1:]]])))
    file = SimpleUploadedFile("bad.csv", text([[*GOOD, line] for line in lines], [*NAMES, "line"]))
    client.post(reverse("batch-corrections", args=[job.pk]), {"file": file})

    shown = Page(client.get(reverse("batch", args=[job.pk]))).text
    assert "Not used" not in shown  # not before they are scored

    execute(job)
    shown = Page(client.get(reverse("batch", args=[job.pk]))).text
    assert told in shown
    assert ("Not used" in shown, "Lines:" in shown) == ("Not used" in told, "Lines:" in told)


def test_page_says_that_corrections_were_canceled(client: Client) -> None:
    job = execute(start(client, text([GOOD, ["x", *GOOD[1:]]])))
    file = SimpleUploadedFile("bad.csv", text([[*GOOD, "3"]], [*NAMES, "line"]))
    client.post(reverse("batch-corrections", args=[job.pk]), {"file": file})
    client.post(reverse("batch-cancel", args=[job.pk]))

    shown = Page(client.get(reverse("batch", args=[job.pk]))).text
    assert "1 of 2 rows are scored; 1 needs another look." in shown
    assert "Not all corrections were scored. They were canceled, or their time was over." in shown
    assert "Send them again, corrected" in shown


def test_job_is_canceled_from_the_page(client: Client) -> None:
    job = start(client, text([GOOD]))
    client.post(reverse("batch-cancel", args=[job.pk]))
    assert "It was canceled." in Page(client.get(reverse("batch", args=[job.pk]))).text


def test_list_has_my_files(client: Client) -> None:
    job = start(client, text([GOOD]))
    assert reverse("batch", args=[job.pk]) in [link["href"] for link in Page(client.get("/batches/")).all("a")]
    assert "No file sent yet" in Page(Client().get("/batches/")).text


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_template_can_be_scored(client: Client, kind: str) -> None:
    template = client.get(f"{reverse('batch-template')}?model=iris&format={kind}")
    page = Page(client.get(upload(client, template.content, f"template.{kind}")["Location"]))
    assert "No problems found in them." in page.text


def test_template_keeps_negative_numbers(client: Client, registered: dict[str, RegisteredModel]) -> None:
    example = registered["iris"].description["examples"][0]["values"]
    example[NAMES[0]] = -5.5
    registered["iris"].save()
    template = client.get(f"{reverse('batch-template')}?model=iris")
    assert template.content.decode().splitlines()[1].split(",")[0] == "-5.5"
