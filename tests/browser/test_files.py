"""A file from the upload to its corrected results, in a real browser."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from playwright.sync_api import BrowserContext, FilePayload, Page, expect
from pyarrow import parquet

from predictions.batches.exports import workbook
from tests.support.files import GOOD, NAMES, text
from tests.support.stack import Stack

PHONE = {"width": 390, "height": 844}


def payload(content: bytes, name: str = "rows.csv") -> FilePayload:
    return {"name": name, "mimeType": "text/csv", "buffer": content}


def upload(page: Page, content: bytes) -> None:
    page.goto("/models/iris/")
    page.get_by_role("link", name="Score a file of rows").click()
    page.get_by_label("File", exact=True).set_input_files(payload(content))
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("rows.csv")


def start(page: Page, content: bytes) -> None:
    upload(page, content)
    page.get_by_role("button", name="Score all rows").click()


def finished(page: Page) -> None:
    expect(page.locator("section.batch")).to_have_attribute("data-state", "finished")


def downloaded(page: Page, link: str) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    return Path(download.value.path()).read_bytes()


def records(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE}, {"java_script_enabled": False}])
def test_bad_row_is_corrected_until_the_file_is_complete(
    new_context: Callable[..., BrowserContext], options: dict[str, object]
) -> None:
    page = new_context(**options).new_page()
    upload(page, text([GOOD, ["x", *GOOD[1:]]]))
    expect(page.get_by_text("1 problem found")).to_be_visible()
    page.get_by_role("button", name="Score all rows").click()
    finished(page)
    expect(page.get_by_text("1 of 2 rows are scored; 1 needs another look.", exact=True)).to_be_visible()
    [bad] = records(downloaded(page, "Rows with errors"))
    bad[NAMES[0]] = "5.1"
    page.get_by_label("Send them again, corrected").set_input_files(payload(text([list(bad.values())], list(bad))))
    page.get_by_role("button", name="Score the corrections").click()
    expect(page.get_by_text("2 of 2 rows are scored.", exact=True)).to_be_visible()
    assert [row["prediction"] for row in records(downloaded(page, "Results (CSV)"))] == ["setosa", "setosa"]
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth") if "viewport" in options else 0
    assert overflow <= 0


def test_file_is_canceled_while_its_worker_is_away(page: Page, stack: Stack) -> None:
    stack.freeze("bulk", "keeper")
    start(page, text([GOOD]))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("section.batch")).to_have_attribute("data-state", "canceled")
    stack["keeper"].thaw()
    stack["bulk"].thaw()
    page.goto("/batches/")
    expect(page.get_by_role("link", name="rows.csv").first).to_be_visible()


def as_comma_file() -> bytes:
    return text([[cell.replace(".", ",") for cell in GOOD]] * 2, delimiter=";")


def as_workbook() -> bytes:
    with workbook([NAMES, GOOD, GOOD], frozenset(range(4))) as file:
        return file.read()


def as_parquet() -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(pa.table({name: [float(cell)] * 2 for name, cell in zip(NAMES, GOOD, strict=True)}), buffer)
    return buffer.getvalue()


def as_json_lines() -> bytes:
    line = json.dumps(dict(zip(NAMES, map(float, GOOD), strict=True)))
    return f"{line}\n{line}\n".encode()


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("rows.csv", as_comma_file(), "CSV"),
        ("rows.xlsx", as_workbook(), "Excel"),
        ("rows.parquet", as_parquet(), "Parquet"),
        ("rows.jsonl", as_json_lines(), "JSON lines"),
    ],
)
def test_each_format_is_recognised_and_scored(page: Page, name: str, content: bytes, shown: str) -> None:
    page.goto("/batches/new/?model=iris")
    page.get_by_label("File", exact=True).set_input_files({**payload(content), "name": name})
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text(f"Read as {shown}.", exact=True)).to_be_visible()
    expect(page.get_by_text("All 2 rows looked at.")).to_be_visible()
    page.get_by_role("button", name="Score all rows").click()
    finished(page)
    expect(page.get_by_text("2 of 2 rows are scored.", exact=True)).to_be_visible()
    table = parquet.read_table(io.BytesIO(downloaded(page, "Parquet")))
    assert table["prediction"].to_pylist() == ["setosa", "setosa"]
    assert table[NAMES[0]].to_pylist() == [5.1, 5.1]


def test_rows_are_pasted_from_a_spreadsheet(page: Page) -> None:
    page.goto("/batches/new/?model=iris")
    page.get_by_label("Or paste rows").fill(text([GOOD, GOOD], delimiter="\t").decode())
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Score all rows").click()
    finished(page)
    expect(page.get_by_text("2 of 2 rows are scored.", exact=True)).to_be_visible()
