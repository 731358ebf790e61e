"""Columns of a file and features of a model: features without a column, and names that are misspelt."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse
from pyarrow import parquet

from predictions.batches import downloads
from predictions.batches.exports import workbook
from predictions.models import BatchJob, RegisteredModel
from predictions.serving.schema.errors import InvalidInput
from tests.integration.web.conftest import Page
from tests.support.api_client import ApiClient
from tests.support.files import correct, execute, form, places, results, score, submit, text
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db

NAMES = ["income", "age", "ratio", "children", "note"]
REQUIRED = NAMES[:3]


def as_text(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return text([list(map(str, row.values())) for row in rows], list(rows[0]))


def as_json(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_workbook(rows: Sequence[Mapping[str, Any]]) -> bytes:
    with workbook([list(rows[0]), *(list(map(str, row.values())) for row in rows)], frozenset(range(4))) as file:
        return file.read()


def as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), buffer)
    return buffer.getvalue()


FORMATS = pytest.mark.parametrize("written", [as_text, as_json, as_workbook, as_parquet])


def refused(model: RegisteredModel, content: bytes) -> list[tuple[str | None, str]]:
    with pytest.raises(InvalidInput) as raised:
        submit(model, content)
    assert {problem.code for problem in raised.value.problems} == {"missing_column"}
    return [(problem.feature, problem.message) for problem in raised.value.problems]


# --- Without a column -------------------------------------------------------------------------------------------------
@FORMATS
def test_features_without_a_column_are_named_in_the_layout(incomes: RegisteredModel, written: Any) -> None:
    job = score(incomes, written([{"income": 5.5, "age": 3, "ratio": 0.5, "note": "x"}]))
    assert job.layout["absent"] == ["children"]
    assert [row["prediction"] for row in results(job)] == ["8.5"]


def test_api_names_features_without_a_column(incomes: RegisteredModel) -> None:
    client = ApiClient()
    body, content_type = form("incomes", text([["5.5", "3", "0.5"]], REQUIRED))
    answer = client.post("/api/v1/batches/", body, content_type=content_type).json()
    assert answer["layout"]["absent"] == ["children", "note"]


def test_job_of_an_earlier_version_names_none(incomes: RegisteredModel) -> None:
    job = score(incomes, text([["5.5", "3", "0.5"]], REQUIRED))
    layout = {name: value for name, value in job.layout.items() if name not in ("absent", "decimal_certainty")}
    BatchJob.objects.update(layout=layout)
    job.refresh_from_db()
    assert ApiClient().get(f"/api/v1/batches/{job.pk}/").json()["layout"]["absent"] == []


def test_pages_name_features_without_a_column(incomes: RegisteredModel, client: Client) -> None:
    note = "No column was found for “children”, “note”: taken as missing in each row."
    file = SimpleUploadedFile("rows.csv", text([["5.5", "3", "0.5"]], REQUIRED))
    sent = client.post(f"{reverse('new-batch')}?model=incomes", {"file": file})
    preview = Page(client.get(sent["Location"]))
    assert note in preview.text
    draft = preview.all("input", name="draft")[0]["value"]
    started = client.post(f"{reverse('new-batch')}?model=incomes", {"draft": draft})
    assert note in Page(client.get(started["Location"])).text


def test_command_names_features_without_a_column(
    incomes: RegisteredModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "rows.csv"
    source.write_bytes(text([["5.5", "3", "0.5"]], REQUIRED))
    call_command("score", "incomes", str(source), output=str(tmp_path / "out.csv"))
    assert "No column was found for children, note: taken as missing in each row." in capsys.readouterr().err


def test_numbered_columns_are_in_signature_order_and_can_be_corrected(incomes: RegisteredModel) -> None:
    job = score(incomes, b"0,1,2,3,4\n5.5,3,0.5,,\nx,3,0.5,,\n")
    assert [row["prediction"] for row in results(job)] == ["8.5", ""]
    correct(job, b"".join(downloads.bad_rows(job)).replace(b"x,3", b"7.5,3"))
    assert [row["prediction"] for row in results(job)] == ["8.5", "10.5"]


# --- Misspelt ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["Childrens", "child_ren", "chil.dren", "childern"])
@pytest.mark.parametrize("written", [as_text, as_workbook, as_parquet])
def test_optional_column_that_is_misspelt_is_asked_about(incomes: RegisteredModel, written: Any, name: str) -> None:
    assert refused(incomes, written([{"income": 5.5, "age": 3, "ratio": 0.5, name: 2}])) == [
        (
            "children",
            f"The file has no column “children”. Did you mean its column “{name}”? Rename that column; if it is"
            " something else, add a column “children” without values.",
        )
    ]


def test_required_column_that_is_misspelt_is_asked_about(incomes: RegisteredModel) -> None:
    assert refused(incomes, text([["5.5", "3", "0.5"]], ["Incomes", "age", "x"])) == [
        ("income", "The file has no column “income”. Did you mean its column “Incomes”? Rename that column."),
        ("ratio", "The file has no column “ratio”. Add it, or correct its name in the header."),
    ]


@pytest.mark.parametrize(
    "header",
    [
        [*REQUIRED, "childrens", "children"], [*REQUIRED, "children2"], [*REQUIRED, "line"], [*REQUIRED, "kids"],
        [*REQUIRED, "notation"],
    ],
)  # fmt: skip
def test_other_columns_are_kept(incomes: RegisteredModel, header: list[str]) -> None:
    [row] = results(score(incomes, text([["5.5", "3", "0.5", "7", "2"][: len(header)]], header)))
    assert (row["prediction"], row[header[3]]) == ("8.5", "7")


def test_column_without_values_states_that_a_feature_is_missing(incomes: RegisteredModel) -> None:
    job = score(incomes, text([["5.5", "3", "0.5", "7", ""]], [*REQUIRED, "childrens", "children"]))
    assert (job.layout["absent"], results(job)[0]["prediction"]) == (["note"], "8.5")


# --- JSON lines -------------------------------------------------------------------------------------------------------
GOOD = {"income": 5.5, "age": 3, "ratio": 0.5}


@pytest.mark.parametrize("name", ["incom", "Incomes"])
def test_member_that_is_misspelt_in_each_row_is_asked_about(incomes: RegisteredModel, name: str) -> None:
    [(feature, message)] = refused(incomes, as_json([{**{n: v for n, v in GOOD.items() if n != "income"}, name: 5.5}]))
    assert feature == "income"
    assert message.startswith(f"Line 1 has no “income”. Did you mean its “{name}”?")


@pytest.mark.parametrize("name", ["childrens", "CHILDREN"])
def test_optional_member_that_is_misspelt_in_some_rows_is_asked_about(incomes: RegisteredModel, name: str) -> None:
    [(feature, message)] = refused(incomes, as_json([{**GOOD, "children": 2}, {**GOOD, name: 2}]))
    assert (feature, message) == (
        "children",
        f"Line 2 has no “children”. Did you mean its “{name}”? Rename it; if it is something else, add “children” with"
        " the value null.",
    )


def test_optional_member_may_be_left_out_of_some_rows(incomes: RegisteredModel) -> None:
    job = score(incomes, as_json([{**GOOD, "children": 2}, GOOD, {**GOOD, "childrens": 1, "children": None}]))
    assert [row["prediction"] for row in results(job)] == ["8.5"] * 3
    assert job.layout["absent"] == ["note"]


def test_members_of_json_are_matched_in_any_case(incomes: RegisteredModel) -> None:
    job = score(incomes, as_json([{"INCOME": 5.5, "Age": 3, " ratio": 0.5, "Children": "x"}, {"INCOME": 1}]))
    assert places(bad_rows_of(job)) == [(1, "children: wrong_type"), (2, "age: missing"), (2, "ratio: missing")]
    correct(job, as_json([{"Income": 5.5, "age": 3, "RATIO": 0.5, "children": 2, "line": 1}]))
    assert [row["prediction"] for row in results(job)] == ["8.5", ""]


def bad_rows_of(job: BatchJob) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(downloads.bad_rows(job)).splitlines()]


def test_rows_as_lists_are_in_signature_order_whatever_the_objects_have(incomes: RegisteredModel) -> None:
    rows = b'{"ratio": 0.5, "id": 7, "age": 3, "income": 5.5}\n[5.5, 3, 0.5, null, null]\n[5.5, 3, 0.5]\n'
    job = score(incomes, rows)
    assert [row["prediction"] for row in results(job)] == ["8.5", "8.5", ""]
    assert places(bad_rows_of(job)) == [(3, ": not_json")]


def test_required_members_may_be_in_no_row_of_the_sample(incomes: RegisteredModel) -> None:
    job = execute(submit(incomes, as_json([{"age": 3}])))
    assert places(bad_rows_of(job)) == [(1, "income: missing"), (1, "ratio: missing")]
