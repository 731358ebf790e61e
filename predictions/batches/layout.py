"""How a file is laid out: its format, encoding, delimiter, decimal sign, header, and which column is which feature.

The layout is detected once for the whole file, never for a single cell. The sender sees it and can change it.
The web process imports this module, so it imports neither numpy nor pyarrow.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from django.conf import settings
from pydantic import BaseModel, ConfigDict

from predictions.batches.decoding import marked, shown
from predictions.batches.encodings import BOMS, ENCODINGS, end_of_lines, find_encoding, is_explained
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Feature, Integer, Number, Signature
from predictions.serving.schema.wording import is_storable, printable

FORMATS = {
    "csv": "CSV",
    "jsonl": english("JSON lines"),
    "parquet": "Parquet",
    "xlsx": "Excel",
    "ods": "OpenDocument",
}
Format: TypeAlias = Literal["csv", "jsonl", "xlsx", "ods", "parquet"]

DELIMITERS = {",": english("comma"), ";": english("semicolon"), "\t": english("tab"), "|": english("bar")}
DECIMALS = {".": english("point"), ",": english("comma")}
SAMPLE_BYTES = 1024 * 1024
SAMPLE_ROWS = 100
_LINE = re.compile("[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
# A first line for Excel, which names the delimiter of the lines behind it.
_HINT = re.compile('"?sep=([,;\t|])"?(?:\r\n?|\n)', re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?[\d .]*,\d+")
_POINT_NUMBER = re.compile(r"[+-]?[\d ,]*\.\d+([eE][+-]?\d+)?")


# The properties that the sender may set instead of having them detected.
WISHES = ("encoding", "delimiter", "decimal", "header", "sheet")


class Layout(BaseModel):
    """`columns` are the file's own names. `matched` are the positions of the features' columns, in signature order;
    None for an optional feature that the file lacks. Rows begin `start` bytes into the file, on line `line`."""

    model_config = ConfigDict(frozen=True)

    format: Format
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    header: bool = True
    sheet: str | None = None
    sheets: list[str] = []
    columns: list[str]
    matched: list[int | None]
    start: int = 0
    line: int = 1

    @property
    def counts_records(self) -> bool:
        """Whether lines are counted by records, as in a sheet, and not by line breaks."""
        return self.format in ("xlsx", "ods", "parquet")

    @property
    def described(self) -> list[tuple[str, str]]:
        """The detected properties, for people."""
        found = [(english("Format"), FORMATS[self.format])]
        if self.format == "csv":
            delimiter, header = DELIMITERS.get(self.delimiter, self.delimiter), english("yes" if self.header else "no")
            found += [(english("Encoding"), self.encoding), (english("Delimiter"), delimiter)]
            found += [(english("Decimal sign"), DECIMALS[self.decimal]), (english("Header"), header)]
        if self.sheet is not None:
            found.append((english("Sheet"), self.sheet))
        return found


class Wishes(BaseModel):
    """The properties that the sender has set; None for those to detect."""

    model_config = ConfigDict(frozen=True)

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    sheet: str | None = None


def read_wishes(given: Mapping[str, Any]) -> Wishes:
    """The settings in the fields of a form. Raises InvalidInput for an unknown choice."""
    allowed = {
        "encoding": ENCODINGS,
        "delimiter": {**dict.fromkeys(DELIMITERS), "tab": None},
        "decimal": DECIMALS,
        "header": ("true", "false"),
    }
    chosen = {name: str(given.get(name) or "") for name in (*allowed, "sheet")}
    wrong = [name for name, values in allowed.items() if chosen[name] and chosen[name] not in values]
    if wrong:
        raise InvalidInput([Problem(None, "unknown_choice", _one_of(allowed[name]), f"/{name}") for name in wrong])
    if chosen["delimiter"] == "tab":
        chosen["delimiter"] = "\t"
    header = {"true": True, "false": False}.get(chosen.pop("header"))
    return Wishes(header=header, **{name: value or None for name, value in chosen.items()})


def _one_of(choices: Iterable[str]) -> str:
    return english("Must be one of: {choices}.", choices=", ".join(choices))


# --- Text -------------------------------------------------------------------------------------------------------------
def text_layout(sample: bytes, signature: Signature, wishes: Wishes) -> Layout:
    """The layout of delimited text, by its first bytes.

    Raises:
        InvalidInput: the file is empty, or its header lacks features or names one twice.
    """
    bom = next((mark for mark in BOMS if sample.startswith(mark)), b"")
    if known := wishes.encoding or BOMS.get(bom):
        return _text_layout(sample, bom, known, signature, wishes)
    found = _text_layout(sample, bom, find_encoding(sample, signature.features), signature, wishes)
    if is_explained(sample, found.encoding, found.delimiter, found.columns, _features_by_place(found, signature)):
        return found
    return _text_layout(sample, bom, "utf-8", signature, wishes)


def _features_by_place(layout: Layout, signature: Signature) -> dict[int, Feature]:
    pairs = zip(layout.matched, signature.features, strict=True)
    return {place: feature for place, feature in pairs if place is not None}


def _text_layout(sample: bytes, bom: bytes, encoding: str, signature: Signature, wishes: Wishes) -> Layout:
    raw = sample[len(bom) :]
    text = marked(raw, encoding)
    hint = _HINT.match(text)
    before, text = (hint[0], text[hint.end() :]) if hint else ("", text)
    delimiter = wishes.delimiter or (hint[1] if hint else _delimiter(text, signature))
    records = list(_records(text, delimiter))
    if not records:
        raise InvalidInput([Problem(None, "empty_file", english("The file is empty."), "/file")])
    header = _has_header(records[0], signature) if wishes.header is None else wishes.header
    columns = [shown(name) for name in records[0]] if header else _names(len(records[0]), signature)
    matched = match_columns(columns, signature)
    lines = len(_LINE.findall(before + (_head(text, delimiter) if header else "")))
    rows = records[1:] if header else records
    return Layout(
        format="csv",
        encoding=encoding,
        delimiter=delimiter,
        decimal=wishes.decimal or _decimal(rows, signature, matched, delimiter),
        header=header,
        columns=columns,
        matched=matched,
        start=len(bom) + end_of_lines(raw, lines, encoding),
        line=1 + lines,
    )


def _delimiter(text: str, signature: Signature) -> str:
    """The delimiter that finds most features in the header; then the one that splits the first rows most evenly."""
    wanted = {_folded(name) for name in signature.names}

    def merit(delimiter: str) -> tuple[int, int]:
        records = list(_records(text, delimiter, 20))
        widths = Counter(len(record) for record in records)
        known = len(wanted & {_folded(name) for name in records[0]}) if records else 0
        width, rows = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        return known, rows if width > 1 else 0

    return max(DELIMITERS, key=merit)


def _records(text: str, delimiter: str, most: int = SAMPLE_ROWS + 1) -> list[list[str]]:
    """The first records of a text that are not empty. The last of them may be cut off."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    found: list[list[str]] = []
    try:
        for record in reader:
            if any(record):
                found.append(record)
            if len(found) == most:
                break
    except csv.Error:  # a cell of more than 128 kB: an unclosed quote, most likely
        pass
    return found


def _head(text: str, delimiter: str) -> str:
    """The text up to the end of the header. A header may have line breaks in quotes."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(iter(lines.readline, ""), delimiter=delimiter)
    for record in reader:
        if any(record):
            break
    return text[: lines.tell()]


def _has_header(first: Sequence[str], signature: Signature) -> bool:
    """False if there are as many cells as features, none is a name, and those of all numeric features are numbers."""
    known = {_folded(name) for name in signature.names}
    if len(first) != len(signature.names) or known & {_folded(cell) for cell in first}:
        return True
    numbers = [c for c, f in zip(first, signature.features, strict=True) if isinstance(f, Number | Integer)]
    return not numbers or not all(re.fullmatch(r"[+-]?[\d.,eE +-]*\d[\d.,]*", cell.strip()) for cell in numbers)


def _names(width: int, signature: Signature) -> list[str]:
    if width == len(signature.names):
        return list(signature.names)
    message = english(
        "Without a header each row must have {cells} cells, one for each feature; it has {given}.",
        cells=len(signature.names),
        given=width,
    )
    raise InvalidInput([Problem(None, "wrong_length", message, "/file")])


def _decimal(rows: Sequence[Sequence[str]], signature: Signature, matched: Sequence[int | None], delimiter: str) -> str:
    if delimiter == ",":
        # In such a file, numbers with a decimal comma are in quotes.
        cells = _number_cells(rows, signature, matched)
        has_points = any(map(_POINT_NUMBER.fullmatch, cells))
        return "," if not has_points and any(map(_COMMA_NUMBER.fullmatch, cells)) else "."
    cells = _number_cells(rows, signature, matched)
    commas = sum(bool(_COMMA_NUMBER.fullmatch(cell)) for cell in cells)
    points = sum(bool(_POINT_NUMBER.fullmatch(cell)) for cell in cells)
    return "," if commas > points else "."


def _number_cells(rows: Sequence[Sequence[str]], signature: Signature, matched: Sequence[int | None]) -> list[str]:
    places = [
        place
        for feature, place in zip(signature.features, matched, strict=True)
        if isinstance(feature, Number | Integer) and place is not None
    ]
    return [row[place].strip() for row in rows for place in places if place < len(row)]


# --- Columns ----------------------------------------------------------------------------------------------------------
def match_columns(columns: Sequence[str], signature: Signature) -> list[int | None]:
    """The position of each feature's column: by its exact name, else by one that differs in case, spaces and `_` only.

    Raises:
        InvalidInput: features without a column, or with several, all at once; or too many columns; or the first name of
            a column that cannot be stored.
    """
    if len(columns) > settings.BATCH_COLUMNS:
        message = english(
            "The file has {columns} columns; at most {most} can be read.",
            columns=len(columns),
            most=settings.BATCH_COLUMNS,
        )
        raise InvalidInput([Problem(None, "too_many_columns", message, "/file")])
    if unstorable := [number for number, name in enumerate(columns, 1) if not is_storable(name)]:
        message = english(
            "The name of column {number} has a character that cannot be stored. Correct it.",
            number=unstorable[0],
        )
        raise InvalidInput([Problem(None, "wrong_type", message, "/file")])
    folded = Counter(_folded(name) for name in signature.names)
    matched: list[int | None] = []
    problems: list[Problem] = []
    for feature in signature.features:
        called = printable(feature.name)
        exact = [place for place, name in enumerate(columns) if name == feature.name]
        alike = [place for place, name in enumerate(columns) if _folded(name) == _folded(feature.name)]
        found = exact or (alike if folded[_folded(feature.name)] == 1 else [])
        if len(found) > 1:
            message = english(
                "The header names “{name}” {times} times. Keep one of these columns.", name=called, times=len(found)
            )
            problems.append(Problem(feature.name, "duplicate_column", message, "/file"))
        elif not found and feature.required:
            message = english(
                "The file has no column “{name}”. Add it, or correct its name in the header.", name=called
            )
            problems.append(Problem(feature.name, "missing_column", message, "/file"))
        matched.append(found[0] if found else None)
    if problems:
        raise InvalidInput(problems)
    return matched


def _folded(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip().strip("\ufeff")).casefold()
