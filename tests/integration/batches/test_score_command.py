"""`manage.py score`."""

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from python_calamine import CalamineWorkbook

from predictions.models import RegisteredModel
from tests.support.files import GOOD, NAMES, results, score, text

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


def test_output_is_that_of_a_job(iris: RegisteredModel, tmp_path: Path) -> None:
    content = text([GOOD, ["x", *GOOD[1:]]])
    source, out, errors = tmp_path / "rows.csv", tmp_path / "out.csv", tmp_path / "bad.csv"
    source.write_bytes(content)
    call_command("score", "iris", str(source), output=str(out), errors=str(errors))
    lines = out.read_text().splitlines()
    job = score(iris, content)
    assert [line.split(",")[4] for line in lines[1:]] == [row["prediction"] for row in results(job)]
    assert len(lines) == 3
    assert errors.read_text().splitlines()[1].endswith(f",3,{NAMES[0]}: wrong_type: Must be a number.")


def test_standard_input_and_output_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, came = io.TextIOWrapper(io.BytesIO(text([GOOD]))), io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", sent)
    monkeypatch.setattr(sys, "stdout", came)
    call_command("score", "iris", "-")
    assert came.buffer.getvalue().count(b"\n") == 2  # type: ignore[attr-defined]


def test_workbook_is_written_by_its_suffix(tmp_path: Path) -> None:
    source, out = tmp_path / "rows.csv", tmp_path / "out.xlsx"
    source.write_bytes(text([GOOD]))
    call_command("score", "iris", str(source), output=str(out))
    assert CalamineWorkbook.from_path(out).get_sheet_by_index(0).to_python()[1][:5] == [*map(float, GOOD), "setosa"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("nothing", b"", "There is no model"),
        ("iris", b"a,b\n1,2\n", "The file has no column"),
        ("iris", None, "no file"),
    ],
)
def test_mistake_is_named(tmp_path: Path, name: str, content: Any, said: str) -> None:
    source = tmp_path / "rows.csv"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(CommandError, match=said):
        call_command("score", name, str(source))
