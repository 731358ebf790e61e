"""Rows as delimited text, and back.

csv.writer of Python 3.11 quotes a carriage return only if its own line ends have one. Readers take it for a line end.
"""

import csv
import io
import re
from collections.abc import Iterable
from functools import cache


def line(cells: Iterable[str], delimiter: str) -> str:
    special = _special(delimiter)
    return delimiter.join(_quoted(cell) if special.search(cell) else cell for cell in cells) + "\n"


def content(rows: Iterable[Iterable[str]], delimiter: str) -> bytes:
    return "".join(line(cells, delimiter) for cells in rows).encode("utf-8", "replace")


def records(content: bytes, delimiter: str) -> list[list[str]]:
    csv.field_size_limit(1 << 30)
    return list(csv.reader(io.StringIO(content.decode(), newline=""), delimiter=delimiter))


@cache
def _special(delimiter: str) -> re.Pattern[str]:
    return re.compile(f'["\\r\\n{re.escape(delimiter)}]')


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'
