"""How a file is laid out: its format, encoding, delimiter, decimal sign, header, and which column is which feature.

The layout is detected once for the whole file, never for a single cell. The sender sees it and can change it.
The web process imports this module, so it imports neither numpy nor pyarrow.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from predictions.batches.columns import absent, folded, match_columns, read_names
from predictions.batches.decoding import marked, shown
from predictions.batches.encodings import BOMS, ENCODINGS, cells_of, end_of_lines, find_encoding, is_explained
from predictions.batches.numerals import find_decimal, read_number, written_number
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Feature, Integer, Number, Signature

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
# The properties that the sender may set instead of having them detected.
WISHES = ("encoding", "delimiter", "decimal", "header", "sheet")


class Layout(BaseModel):
    """`columns` are the file's own names. `matched` are the positions of the features' columns, in signature order;
    None for an optional feature that the file lacks. `absent` are the optional features for which no column was found:
    they are taken as missing in each row. Rows begin `start` bytes into the file, on line `line`.
    `decimal_certainty`: "known" if the file shows its decimal sign or the sender has set it, or if numbers have types;
    "assumed" if commas separate the columns, since most programs then write points; else "doubtful"."""

    model_config = ConfigDict(frozen=True)

    format: Format
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    decimal_certainty: Literal["known", "assumed", "doubtful"] = "known"
    header: bool = True
    sheet: str | None = None
    sheets: list[str] = []
    columns: list[str]
    matched: list[int | None]
    absent: list[str] = []
    start: int = 0
    line: int = 1

    @property
    def counts_records(self) -> bool:
        """Whether lines are counted by records, as in a sheet, and not by line breaks."""
        return self.format in ("xlsx", "ods", "parquet")

    @property
    def is_decimal_doubtful(self) -> bool:
        """Whether `1.234` is refused, since it has two readings."""
        return self.decimal_certainty == "doubtful"

    def read(self, text: str) -> Any:
        """The number in a cell, a float; the text if it is no number, or has two readings."""
        return read_number(text, self.decimal, is_doubtful=self.is_decimal_doubtful)

    def written(self, number: float | str) -> str:
        """A cell that is read as this number, which may be a text with a decimal point."""
        return written_number(number, self.decimal, is_doubtful=self.is_decimal_doubtful)

    @property
    def described(self) -> list[tuple[str, str]]:
        """The detected properties, for people."""
        found = [(english("Format"), FORMATS[self.format])]
        if self.format == "csv":
            delimiter, header = DELIMITERS.get(self.delimiter, self.delimiter), english("yes" if self.header else "no")
            found += [(english("Encoding"), self.encoding), (english("Delimiter"), delimiter)]
            decimal = english("Not known") if self.is_decimal_doubtful else DECIMALS[self.decimal]
            found += [(english("Decimal sign"), decimal), (english("Header"), header)]
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
    first = [shown(name) for name in read_names(records[0], signature)]
    header = _has_header(first, signature) if wishes.header is None else wishes.header
    is_named = header and not _is_numbered(first, signature)
    columns = first if is_named else _names(len(first), signature)
    matched = match_columns(columns, signature)
    head = _head(text, delimiter) if header else ""
    lines = len(_LINE.findall(before + head))
    end = len(text) if len(sample) < SAMPLE_BYTES else max(map(text.rfind, "\r\n"))  # the last line may be cut off
    body = text[len(head) : end]
    decimal = wishes.decimal or find_decimal(_number_cells(body, delimiter, len(columns), signature, matched))
    return Layout(
        format="csv",
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal or ".",
        decimal_certainty="known" if decimal else "assumed" if delimiter == "," else "doubtful",
        header=header,
        columns=columns,
        matched=matched,
        absent=absent(matched, signature),
        start=len(bom) + end_of_lines(raw, lines, encoding),
        line=1 + lines,
    )


def _delimiter(text: str, signature: Signature) -> str:
    """The delimiter that finds most features in the header; then the one that splits the first rows most evenly."""
    wanted = {folded(name) for name in signature.names}

    def merit(delimiter: str) -> tuple[int, int]:
        records = list(_records(text, delimiter, 20))
        widths = Counter(len(record) for record in records)
        known = len(wanted & {folded(name) for name in read_names(records[0], signature)}) if records else 0
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
    known = {folded(name) for name in signature.names}
    if len(first) != len(signature.names) or known & {folded(cell) for cell in first}:
        return True
    if _is_numbered(first, signature):
        return True
    numbers = [c for c, f in zip(first, signature.features, strict=True) if isinstance(f, Number | Integer)]
    return not numbers or not all(re.fullmatch(r"[+-]?[\d.,eE +-]*\d[\d.,]*", cell.strip()) for cell in numbers)


def _is_numbered(first: Sequence[str], signature: Signature) -> bool:
    """Whether a header numbers as many columns as there are features from 0, as pandas does if they have no names. A
    lone 0 is a value, and the names of features are names."""
    numbers = [str(place) for place in range(len(signature.names))]
    return len(first) > 1 and [cell.strip() for cell in first] == numbers and not set(numbers) & set(signature.names)


def _names(width: int, signature: Signature) -> list[str]:
    if width == len(signature.names):
        return list(signature.names)
    message = english(
        "Without a header each row must have {cells} cells, one for each feature; it has {given}.",
        cells=len(signature.names),
        given=width,
    )
    raise InvalidInput([Problem(None, "wrong_length", message, "/file")])


def _number_cells(
    text: str, delimiter: str, width: int, signature: Signature, matched: Sequence[int | None]
) -> Iterator[list[str]]:
    """The cells of numeric features, some lines at a time; lines of another length are left out."""
    pairs = zip(signature.features, matched, strict=True)
    places = [place for feature, place in pairs if isinstance(feature, Number | Integer) and place is not None]
    # A comma that separates no cells is in quotes.
    marks = re.compile('[".]' if delimiter == "," else "[,.]")
    lines = filter(marks.search, io.StringIO(text, newline=None))
    while lot := list(islice(lines, SAMPLE_ROWS)):
        rows = (line.split(delimiter) if '"' not in line else cells_of(line, delimiter) for line in lot)
        yield [row[place].strip() for row in rows if len(row) == width for place in places]
