"""The first bytes of a file: encodings, damaged headers, byte order marks, and a line that names the delimiter."""

import pytest

from predictions.models import RegisteredModel
from tests.support.files import GOOD, NAMES, bad_rows, places, results, score

pytestmark = pytest.mark.django_db

A = NAMES[0]
ROW = ";".join(GOOD)


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("wishes", [{"encoding": "utf-8"}, {"encoding": "iso-8859-1"}, {}])
def test_damaged_header_leaves_the_first_row_whole(
    iris: RegisteredModel, wishes: dict[str, str], line_end: str
) -> None:
    """The header is in Windows-1252. Most of the file is UTF-8."""
    header = ";".join([*NAMES, "Größe"]).encode("cp1252")
    rows = [f"5.{number};3.5;1.4;0.2;Gießen — Zürich für Müller" for number in range(30)]
    job = score(iris, line_end.encode().join([header, *(row.encode() for row in rows), b""]), wishes=wishes)
    assert [row[A] for row in results(job)] == [f"5.{number}" for number in range(30)]
    assert list(results(job)[0])[4] == "Größe"
    assert bad_rows(job) == []


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("note", ["plain", "Gießen"])
def test_utf_16_is_read_without_a_byte_order_mark_too(
    iris: RegisteredModel, encoding: str, mark: str, note: str
) -> None:
    lines = [";".join([*NAMES, "note"]), f"{ROW};{note}", f"x{ROW[3:]};{note}", ""]
    job = score(iris, (mark + "\r\n".join(lines)).encode(encoding))
    assert job.layout["encoding"] == encoding
    assert [(row["note"], row["prediction"]) for row in results(job)] == [(note, "setosa"), (note, "")]
    assert places(bad_rows(job)) == [(3, f"{A}: wrong_type")]


@pytest.mark.parametrize("hint", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n", "sep=;\r"])
def test_first_line_that_names_the_delimiter_is_no_row(iris: RegisteredModel, hint: str) -> None:
    lines = [";".join(NAMES), ROW, f"x{ROW[3:]}", ""]
    job = score(iris, (hint + "\n".join(lines)).encode())
    assert (job.layout["delimiter"], job.layout["columns"]) == (";", NAMES)
    assert [row["prediction"] for row in results(job)] == ["setosa", ""]
    assert places(bad_rows(job)) == [(4, f"{A}: wrong_type")]


def test_line_that_names_the_delimiter_decides(iris: RegisteredModel) -> None:
    """The header has as many bars as commas."""
    job = score(iris, f"sep=|\n{'|'.join(NAMES)}|a,b,c,d,e\n{'|'.join(GOOD)}|1,2,3,4,5\n".encode())
    assert [row["a,b,c,d,e"] for row in results(job)] == ["1,2,3,4,5"]


def test_line_that_names_the_delimiter_may_stand_before_rows_without_a_header(iris: RegisteredModel) -> None:
    job = score(iris, f"sep=;\n{ROW}\nx{ROW[3:]}\n".encode())
    assert places(bad_rows(job)) == [(3, f"{A}: wrong_type")]
