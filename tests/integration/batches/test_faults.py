"""Usual faults in files: the file of bad rows names each by line, column and code, and no other row is affected."""

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from predictions.batches import reader
from predictions.models import BatchJob, RegisteredModel
from predictions.serving.schema.errors import InvalidInput
from tests.support.files import GOOD, NAMES, bad_rows, correct, places, results, score, text

pytestmark = pytest.mark.django_db

A, B, C, D = NAMES
HEADER = ",".join(f'"{name}"' for name in NAMES) + ",note"
ROW = "5.1,3.5,1.4,0.2,x"
# Lines of a file, each with what is wrong with it: pairs of column and code, none for a good line.
LINES: list[tuple[str, list[str]]] = [
    (ROW, []),
    ("abc,3.5,1.4,0.2,x", [f"{A}: wrong_type"]),
    (",3.5,,0.2,x", [f"{A}: missing", f"{C}: missing"]),
    ("NaN,3.5,1.4,-inf,x", [f"{A}: not_finite", f"{D}: not_finite"]),
    ("--inf,3.5,1.4,+-nan,x", [f"{A}: wrong_type", f"{D}: wrong_type"]),
    ("5.1,3.5", [": short_line"]),
    ("5.1,3.5,1.4,0.2,x,surplus", [": long_line"]),
    ('5.1,"3.5,1.4,0.2,x', [": unclosed_quote"]),
    (ROW, []),
    ('5.1,3."5,1.4,0.2,x', [f"{B}: wrong_type"]),
    (ROW, []),
    ('5.1,"3.5,1.4,0.2,x', [": unclosed_quote"]),
    (ROW, []),
    ("5.1\0,3.5,1.4,0.2,x", [f"{A}: wrong_type"]),
    ('5.1,3.5,1.4,0.2,"two\nlines"', []),
    ("", []),
    (",,,,", []),
    ('"5,1",3.5,1.4,0.2,x', [f"{A}: wrong_type"]),
    ("+5.1,3.5e0,1.4,\u22120.2,x", [f"{D}: below_minimum"]),
    ("5.1,3.5,1.4,\xe9,x", [f"{D}: wrong_encoding"]),
    ('5.1,"3.5"x,1.4,0.2,x', [f"{B}: wrong_type"]),
    (ROW, []),
    ('"5.1,3.5,1.4,0.2,x', [": unclosed_quote"]),
    (ROW, []),
]


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


def content(line_end: str = "\n") -> bytes:
    lines = [HEADER, *(line for line, _ in LINES)]
    encoded = [line.encode("latin-1" if "\xe9" in line else "utf-8") for line in lines]
    return line_end.encode().join(encoded) + line_end.encode()


def reference() -> list[tuple[int, str]]:
    found, number = [], 2
    for line, wrong in LINES:
        found += [(number, one) for one in wrong]
        number += 1 + line.count("\n")
    return found


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_bad_rows_are_those_of_the_reference(iris: RegisteredModel, line_end: str) -> None:
    job = score(iris, content(line_end))
    assert places(bad_rows(job)) == reference()
    wrong = len({line for line, _ in reference()})
    blank = 2
    assert [bool(row["error"]) for row in results(job)].count(True) == wrong
    assert len(results(job)) == len(LINES) - blank
    assert all(bool(row["prediction"]) != bool(row["error"]) for row in results(job))


def test_corrected_rows_complete_the_file(iris: RegisteredModel) -> None:
    job = score(iris, content())
    bad = bad_rows(job)
    for row in bad:
        row |= dict(zip(NAMES, GOOD, strict=True))
    job = correct(job, text([list(row.values()) for row in bad], list(bad[0])))
    assert bad_rows(job) == []
    assert {row["error"] for row in results(job)} == {""}
    assert all(row["prediction"] for row in results(job))


@pytest.mark.parametrize("window", [1, 7, 64, 200, 1000])
def test_rows_are_the_same_wherever_a_read_of_the_file_ends(
    iris: RegisteredModel, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    whole = score(iris, content("\r\n"))
    for name in ("FIRST_WINDOW", "SMALLEST_WINDOW", "LARGEST_WINDOW"):
        monkeypatch.setattr(reader, name, window)
    parts = score(iris, content("\r\n"))
    assert [told(row) for row in results(parts)] == [told(row) for row in results(whole)]
    assert places(bad_rows(parts)) == places(bad_rows(whole)) == reference()


def told(row: dict[str, str]) -> tuple[str, ...]:
    """A row without its probabilities, whose last digits depend on the rows beside it."""
    return tuple(value for name, value in row.items() if not name.startswith("probability_"))


ENCODINGS: Sequence[tuple[str, Callable[[str], bytes]]] = [
    ("utf-8", lambda words: words.encode("utf-8-sig")),
    ("utf-16-le", lambda words: words.encode("utf-16")),
    ("utf-16-be", lambda words: b"\xfe\xff" + words.encode("utf-16-be")),
    ("cp1252", lambda words: words.encode("cp1252")),
]


@pytest.mark.parametrize(("encoding", "encode"), ENCODINGS)
def test_encoding_is_found(iris: RegisteredModel, encoding: str, encode: Callable[[str], bytes]) -> None:
    words = f"{HEADER}\n" + "5.1,3.5,1.4,0.2,Zürich — Gießen für Müller\n" * 30 + "x,3.5,1.4,0.2,y\n"
    job = score(iris, encode(words))
    assert job.layout["encoding"] in (encoding, "iso-8859-1" if encoding == "cp1252" else encoding)
    assert places(bad_rows(job)) == [(32, f"{A}: wrong_type")]
    note = results(job)[0]["note"]
    assert note.startswith("Zürich")


@pytest.mark.parametrize(("stray", "problem"), [("\xe9", "wrong_encoding"), ("5\xa0000", "above_maximum")])
def test_stray_bytes_are_damage_unless_an_encoding_makes_sense_of_them(
    iris: RegisteredModel, stray: str, problem: str
) -> None:
    """A no-break space of Windows-1252 groups digits. Another letter in a number does not change the encoding."""
    lines = [",".join(NAMES), *["5.1,3.5,1.4,0.2"] * 50, f"{stray},3.5,1.4,0.2", *["5.1,3.5,1.4,0.2"] * 50]
    job = score(iris, "\n".join(lines).encode("cp1252"))
    assert places(bad_rows(job)) == [(52, f"{A}: {problem}")]


def test_damaged_column_that_is_no_feature_is_handed_back_readable(iris: RegisteredModel) -> None:
    rows = b"5.1,3.5,1.4,0.2,ordinary\n" * 50_000 + "5.1,3.5,1.4,0.2,Müller\n".encode("cp1252")
    job = score(iris, HEADER.encode() + b"\n" + rows)
    assert job.layout["encoding"] == "utf-8"
    assert results(job)[-1]["note"] == "Müller"


def test_file_with_a_header_only_has_no_rows(iris: RegisteredModel) -> None:
    job = score(iris, text([]))
    assert (job.state, results(job), bad_rows(job)) == ("finished", [], [])


def test_header_that_names_a_feature_twice_is_refused(iris: RegisteredModel) -> None:
    with pytest.raises(InvalidInput) as raised:
        score(iris, text([[*GOOD, "1"]], [*NAMES, A]))
    assert [(problem.feature, problem.code) for problem in raised.value.problems] == [(A, "duplicate_column")]


def test_file_without_a_header_is_read_in_signature_order(iris: RegisteredModel) -> None:
    job = score(iris, b"5.1,3.5,1.4,0.2\n6.1,2.8,4.7,1.2\n")
    assert not job.layout["header"]
    assert [row["prediction"] for row in results(job)] == ["setosa", "versicolor"]


def test_old_line_ends_are_read(iris: RegisteredModel) -> None:
    job = score(iris, text([GOOD, ["x", *GOOD[1:]]]).replace(b"\n", b"\r"))
    assert places(bad_rows(job)) == [(3, f"{A}: wrong_type")]


def test_same_rows_have_the_same_problems_at_each_door(kinds: RegisteredModel) -> None:
    """A row gives the same columns, codes and messages as text, as JSON, and if the signature cleans it directly."""
    names = ["long side", "count", "colour", "ripe", "note", "a/b~c"]
    rows: list[tuple[list[str], list[Any]]] = [
        (["500", "2", "r", "true", "", ""], [500, 2, "r", True, None, None]),
        (["-1", "2.5", "blue", "maybe", "x" * 51, "2"], [-1, 2.5, "blue", "maybe", "x" * 51, 2]),
        (["nan", "11", "", "", "a\0", "0.5"], [float("nan"), 11, None, None, "a\0", 0.5]),
        (["x", "-1", "R", "2", "fine", "y"], ["x", -1, "R", "2", "fine", "y"]),
    ]
    assert kinds.champion is not None
    wanted = []
    for line, (_, values) in enumerate(rows, 2):
        with pytest.raises(InvalidInput) as raised:
            kinds.champion.signature.clean(values)
        wanted += [(line, f"{p.feature}: {p.code}: {p.message}") for p in raised.value.problems]
    job = score(kinds, text([texts for texts, _ in rows], names))
    found = [(int(row["line"]), row["error"]) for row in bad_rows(job)]
    assert found == _joined(wanted)


def _joined(wanted: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    lines = sorted({line for line, _ in wanted})
    return [(line, "; ".join(said for other, said in wanted if other == line)) for line in lines]


def test_workbook_is_read_like_text(iris: RegisteredModel) -> None:
    from predictions.batches.exports import workbook

    with workbook([NAMES, GOOD, ["x", *GOOD[1:]], ["", "", "", ""], GOOD], frozenset(range(4))) as file:
        job: BatchJob = score(iris, file.read(), name="rows.xlsx")
    assert [row["prediction"] for row in results(job)] == ["setosa", "", "setosa"]
    assert places(bad_rows(job)) == [(3, f"{A}: wrong_type")]


def test_parquet_is_read_like_text(iris: RegisteredModel) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    columns = {name: pa.array([float(value), None]) for name, value in zip(NAMES, GOOD, strict=True)}
    parquet.write_table(pa.table(columns), buffer)
    job = score(iris, buffer.getvalue(), name="rows.parquet")
    assert [row["prediction"] for row in results(job)] == ["setosa", ""]
    assert {code for _, code in places(bad_rows(job))} == {f"{name}: missing" for name in NAMES}
