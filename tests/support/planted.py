"""A large file with planted faults, and the reference list of them: line, column and code of each.

The list is made from the planted faults, never by the reader under test. Each row has its number in a separate column,
so that results can be matched to rows. For each number `Source` gives the correct row, which a correction sends.
"""

import csv
import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, TypeAlias

from predictions.serving.schema.kinds import Boolean, Choice, Date, Feature, Integer, Number, Text
from predictions.serving.schema.signature import Signature

# The columns of the file that are not features: the number of the row, and a text that may have line breaks.
ROW, REMARK = "row number", "remark"
# The code of a cell that is text where its feature expects something else.
CODES = {"number": "wrong_type", "integer": "wrong_type", "boolean": "wrong_type", "choice": "unknown_choice"}

# Column and code; the column is empty where the whole line is wrong.
Error: TypeAlias = tuple[str, str]
Found: TypeAlias = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Planted:
    """The bytes of one row with its line end. `before` counts the empty lines in front of the row."""

    content: bytes
    errors: Sequence[Error] = ()
    before: int = 0


@dataclass
class Reference:
    """`errors` are line, column and code, in the order of the file. `rows` has the row number of each bad line."""

    errors: list[Found] = field(default_factory=list)
    rows: dict[int, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)


class Source:
    """Makes valid rows for a signature: a row number always gives the same row.

    `numbers` are the places of required numeric features, `choices` those of choices.
    """

    def __init__(self, signature: Signature, seed: int = 7) -> None:
        self.features = signature.features
        self.names = [*signature.names, ROW, REMARK]
        self.numbers = [place for place, one in enumerate(self.features) if isinstance(one, Number) and one.required]
        self.choices = [place for place, one in enumerate(self.features) if isinstance(one, Choice)]
        self._seed = seed

    def cells(self, number: int) -> list[str]:
        chance = random.Random(self._seed * 1_000_003 + number)
        return [*(_good(feature, chance) for feature in self.features), str(number), "as it was"]

    def unreadable(self) -> list[Error]:
        """The errors of a row whose cells are all words."""
        return [(one.name, CODES[one.kind]) for one in self.features if one.kind in CODES]


def _good(feature: Feature, chance: random.Random) -> str:
    if isinstance(feature, Choice):
        return str(chance.choice(feature.values))
    if isinstance(feature, Boolean):
        return chance.choice(["true", "false"])
    if isinstance(feature, Text):
        return "fine"
    if isinstance(feature, Date):
        return feature.minimum or feature.maximum or "2024-05-31"
    low = 0 if feature.minimum is None else feature.minimum
    high = max(low, 1) + 10 if feature.maximum is None else feature.maximum
    return (
        str(chance.randint(int(low), int(high))) if isinstance(feature, Integer) else f"{chance.uniform(low, high):.5f}"
    )


# --- Faults -----------------------------------------------------------------------------------------------------------
Plant: TypeAlias = Callable[[Source, list[str], random.Random], Planted]


def line(cells: Sequence[str], encoding: str = "utf-8", end: str = "\n") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator=end).writerow(cells)
    return buffer.getvalue().encode(encoding)


def _cell(code: str, change: Callable[[str], str], encoding: str = "utf-8") -> Plant:
    """A fault in one numeric cell."""

    def plant(source: Source, cells: list[str], chance: random.Random) -> Planted:
        place = chance.choice(source.numbers)
        cells[place] = change(cells[place])
        return Planted(line(cells, encoding), [(source.names[place], code)])

    return plant


def _unknown_choice(source: Source, cells: list[str], chance: random.Random) -> Planted:
    place = chance.choice(source.choices)
    cells[place] = "no such choice"
    return Planted(line(cells), [(source.names[place], "unknown_choice")])


def _short_line(_: Source, cells: list[str], chance: random.Random) -> Planted:
    return Planted(line(cells[: chance.randint(2, len(cells) - 1)]), [("", "short_line")])


def _long_line(_: Source, cells: list[str], __: random.Random) -> Planted:
    return Planted(line([*cells, "surplus"]), [("", "long_line")])


def _open_quote(source: Source, cells: list[str], chance: random.Random) -> Planted:
    place = chance.choice(source.numbers)
    content = ",".join([*cells[:place], f'"{cells[place]}', *cells[place + 1 :]])
    return Planted(f"{content}\n".encode(), [("", "unclosed_quote")])


def _utf_16(source: Source, cells: list[str], __: random.Random) -> Planted:
    """A row whose numbers are in UTF-16, while the rest of the file is not."""
    for place in source.numbers:
        cells[place] = cells[place].encode("utf-16-le").decode("latin-1")
    return Planted(line(cells), [(source.names[place], "wrong_type") for place in source.numbers])


def _second_header(source: Source, _: list[str], __: random.Random) -> Planted:
    return Planted(line(source.names), source.unreadable())


def _two_lines(_: Source, cells: list[str], __: random.Random) -> Planted:
    return Planted(line([*cells[:-1], "two\nlines"]))


def _two_lines_of_windows(_: Source, cells: list[str], __: random.Random) -> Planted:
    return Planted(line([*cells[:-1], "two\r\nlines"], end="\r\n"))


FAULTS: Mapping[str, Plant] = {
    "wrong type": _cell("wrong_type", lambda _: "abc"),
    "missing": _cell("missing", lambda _: ""),
    "NaN": _cell("not_finite", lambda _: "NaN"),
    "unknown choice": _unknown_choice,
    "short line": _short_line,
    "long line": _long_line,
    "wrong quote": _open_quote,
    "quote within a cell": _cell("wrong_type", lambda text: f'{text[:1]}"{text[1:]}'),
    "NUL": _cell("wrong_type", lambda text: f"{text}\0"),
    "BOM": _cell("wrong_type", lambda text: f"\ufeff{text}"),
    "UTF-16": _utf_16,
    "Latin-1": _cell("wrong_encoding", lambda _: "\xe9", "latin-1"),
    "CRLF": lambda _, cells, __: Planted(line(cells, end="\r\n")),
    "quoted newline": _two_lines,
    "quoted CRLF": _two_lines_of_windows,
    "empty line": lambda _, cells, __: Planted(b"\n" + line(cells), before=1),
    "second header": _second_header,
    "decimal comma": _cell("wrong_type", lambda text: text.replace(".", ",")),
}


# --- Files ------------------------------------------------------------------------------------------------------------
def write(file: IO[bytes], source: Source, rows: int, share: float = 0.01, seed: int = 11) -> Reference:
    """Write a header and `rows` rows; each kind of fault is planted in `share` of them, at random."""
    chance, reference = random.Random(seed), Reference()
    kinds = [kind for kind in FAULTS if kind != "unknown choice" or source.choices]
    file.write(line(source.names))
    number_of_line = 2
    for number in range(rows):
        drawn = int(chance.random() / share)
        kind = kinds[drawn] if drawn < len(kinds) else ""
        planted = FAULTS[kind](source, source.cells(number), chance) if kind else Planted(line(source.cells(number)))
        file.write(planted.content)
        reference.kinds[kind] = reference.kinds.get(kind, 0) + 1
        if planted.errors:
            reference.errors += [(number_of_line + planted.before, *error) for error in planted.errors]
            reference.rows[number_of_line + planted.before] = number
        number_of_line += planted.content.count(b"\n")
    return reference


def found_in(bad: Iterator[Mapping[str, str]]) -> Iterator[Found]:
    """Line, column and code of each problem in a file of bad rows."""
    for row in bad:
        for part in row["error"].split("; "):
            column, code, _ = part.split(": ", 2)
            yield int(row["line"]), column, code


def corrections(source: Source, reference: Reference) -> Iterator[bytes]:
    """The corrected rows, each with the line of its bad row."""
    yield line([*source.names, "line"])
    for number_of_line, number in reference.rows.items():
        yield line([*source.cells(number), str(number_of_line)])
