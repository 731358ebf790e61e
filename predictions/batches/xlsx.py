"""Finds cells of an .xlsx sheet whose formula gave an error or has no stored value. The library that reads workbooks
gives both as empty cells, which would count as missing values. ECMA-376, part 1, 18.3.1.4.
"""

import re
import zipfile
from collections.abc import Callable
from posixpath import join, normpath
from typing import IO, Any
from xml.parsers import expat

from predictions.batches.marks import ERROR, NOT_STORED

ROWS, COLUMNS = 1_048_576, 16_384
Marks = dict[int, dict[int, str]]

_PIECE = 1024 * 1024
# The begin of a formula, or the type of an error cell. Most sheets have neither.
_SUSPICIOUS = re.compile(rb"<(?:\w+:)?f[\s/>]|\bt\s*=\s*[\"']e[\"']")
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


def marks(file: IO[bytes], sheet: str) -> Marks:
    """The marked texts of these cells, by row and by column. Both count from 0.

    Raises:
        ExpatError, ValueError: the workbook is damaged, or declares entities.
    """
    with zipfile.ZipFile(file) as archive:
        name = _part(archive, sheet)
        if name is None or not _is_suspicious(archive, name):
            return {}
        found = _Cells()
        with archive.open(name) as content:
            _parser(found.start, found.end, found.add_text).ParseFile(content)
        return found.marks


def _part(archive: zipfile.ZipFile, sheet: str) -> str | None:
    """The name of the sheet's file in the archive."""
    ids: dict[str, str] = {}
    targets: dict[str, str] = {}

    def start(name: str, given: dict[str, str]) -> None:
        if _local(name) == "sheet":
            ids[given["name"]] = next((value for key, value in given.items() if key.endswith("/relationships id")), "")
        elif _local(name) == "Relationship":
            targets[given["Id"]] = normpath(join("/xl", given["Target"])).lstrip("/")

    for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"):
        if name in archive.namelist():
            _parser(start).Parse(archive.read(name), True)
    found = targets.get(ids.get(sheet, ""))
    return found if found in archive.namelist() else None


def _is_suspicious(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as content:
        rest = b""
        while piece := content.read(_PIECE):
            if _SUSPICIOUS.search(rest + piece):
                return True
            rest = piece[-100:]
    return False


def _parser(start: Callable[..., None], end: Any = None, text: Any = None) -> Any:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    return parser


def _refuse_declarations(*_: Any) -> None:
    """A workbook declares nothing. A declared entity could stand for gigabytes of text."""
    raise ValueError("it has a document type declaration")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


class _Cells:
    """Handlers of the elements of a sheet. A row or a cell without a place follows the one before."""

    def __init__(self) -> None:
        self.marks: Marks = {}
        self._row = self._column = -1
        self._kind = self._value = ""
        self._has_formula = self._is_value = False

    def start(self, name: str, given: dict[str, str]) -> None:
        match _local(name):
            case "row":
                self._row, self._column = int(given.get("r", self._row + 2)) - 1, -1
            case "c":
                self._column = _column(given["r"]) if "r" in given else self._column + 1
                self._kind, self._value, self._has_formula = given.get("t", ""), "", False
            case "f":
                self._has_formula = True
            case "v":
                self._is_value = True

    def add_text(self, text: str) -> None:
        if self._is_value:
            self._value += text

    def end(self, name: str) -> None:
        match _local(name):
            case "v":
                self._is_value = False
            case "c" if self._kind == "e":
                self._mark(ERROR + self._value)
            case "c" if self._has_formula and not self._value and self._kind != "str":
                self._mark(NOT_STORED)

    def _mark(self, text: str) -> None:
        if not (0 <= self._row < ROWS and 0 <= self._column < COLUMNS):
            raise ValueError("a cell is outside the sheet")
        self.marks.setdefault(self._row, {})[self._column] = text


def _column(place: str) -> int:
    found = _PLACE.fullmatch(place)
    if not found:
        raise ValueError(f"{place} is no cell")
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
