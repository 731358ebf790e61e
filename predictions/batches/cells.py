"""Reads and checks cells of text by the signature: whole columns at once if the result is certain, else row by row.

`Signature.clean` decides about every row that a column-wise check does not prove to be good, so the codes and messages
are those of the form and of the API.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from predictions.batches import marks
from predictions.batches.blocks import Block
from predictions.batches.decoding import DAMAGED_CHARACTERS, shown
from predictions.batches.layout import Layout
from predictions.batches.numerals import TWO_READINGS, has_two_readings, read_number
from predictions.batches.records import contains, is_damaged
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.kinds import LARGEST_INTEGER
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Boolean, Choice, Feature, Integer, Number, Signature, Text, Value

Mask = npt.NDArray[np.bool_]

_PLAIN = r"^-?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?$"
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(slots=True)
class Checked:
    """`good` are the positions of the valid rows, `values` their values: lists in signature order, or an array of
    float64 where every value is a number. `problems` has those of the other rows, by position."""

    good: npt.NDArray[np.intp]
    values: Any
    problems: dict[int, list[Problem]] = field(default_factory=dict)


def check(block: Block, layout: Layout, signature: Signature, *, as_array: bool) -> Checked:
    """Checks every row of a block, and finds all problems of each. `as_array` asks for an array where possible."""
    if block.objects is not None:
        return _check_objects(block, layout, signature)
    columns = [
        _Column(feature, None if place is None else block.cells[place], layout, block.rows)
        for feature, place in zip(signature.features, layout.matched, strict=True)
    ]
    certain = np.ones(block.rows, dtype=bool)
    for column in columns:
        certain &= column.is_good
    for row in block.flaws:
        certain[row] = False
    damaged = _damaged(block)
    return _gathered(block, layout, signature, columns, certain & ~damaged, damaged, as_array=as_array)


def _gathered(
    block: Block,
    layout: Layout,
    signature: Signature,
    columns: "Sequence[_Column]",
    certain: Mask,
    damaged: Mask,
    *,
    as_array: bool,
) -> Checked:
    """The result for all rows. Rows that are not `certain` are checked one by one."""
    late: dict[int, list[Value]] = {}
    problems: dict[int, list[Problem]] = {}
    for row in np.flatnonzero(~certain).tolist():
        try:
            late[row] = _clean_row(block, layout, signature, row, has_damage=bool(damaged[row]))
        except InvalidInput as error:
            problems[row] = error.problems
    good = np.flatnonzero(~np.isin(np.arange(block.rows), list(problems)))
    numbers = [column.numbers for column in columns if column.numbers is not None]
    if as_array and not late and len(numbers) == len(columns):
        return Checked(good, np.column_stack([values[good] for values in numbers]), problems)
    values = list(map(list, zip(*(column.values(certain) for column in columns), strict=True)))
    if late:
        values = _merged(values, certain, late, good)
    return Checked(good, values, problems)


def _merged(values: list[list[Value]], certain: Mask, late: dict[int, list[Value]], good: Any) -> list[list[Value]]:
    known = iter(values)
    return [next(known) if certain[row] else late[row] for row in good.tolist()]


# --- Columns ----------------------------------------------------------------------------------------------------------
class _Column:
    """The values of one feature. `is_good` marks the rows whose value is certainly allowed; `numbers` are float64
    where the feature is a number."""

    def __init__(self, feature: Feature, cells: Any, layout: Layout, rows: int) -> None:
        self._feature = feature
        self.numbers: npt.NDArray[np.float64] | None = None
        self._values: list[Value] = []
        self._codes: Any = None
        if cells is None:  # an optional feature that the file lacks
            self.is_good = np.ones(rows, dtype=bool)
            self._values, self._codes = [None], np.zeros(rows, dtype=np.intp)
        elif isinstance(feature, Number | Integer):
            self.numbers, self.is_good = _numbers(cells, layout, feature)
        else:
            self._by_text(cells, layout)

    def values(self, wanted: Mask) -> list[Value]:
        if self.numbers is not None:
            found = self.numbers[wanted]
            return list((found.astype(np.int64) if isinstance(self._feature, Integer) else found).tolist())
        return [self._values[code] for code in self._codes[wanted].tolist()]

    def _by_text(self, cells: Any, layout: Layout) -> None:
        """Each distinct text is read and checked once."""
        encoded = cells.dictionary_encode()
        rule = TypeAdapter(self._feature.rule() if self._feature.required else self._feature.rule() | None)
        known = [_checked(rule, read_cell(self._feature, text, layout)) for text in encoded.dictionary.to_pylist()]
        self._values = [value for value, _ in known]
        self._codes = encoded.indices.to_numpy()
        self.is_good = np.array([is_good for _, is_good in known], dtype=bool)[self._codes]


def _checked(rule: Any, value: Any) -> tuple[Any, bool]:
    try:
        return rule.validate_python(value), True
    except ValidationError:
        return None, False


def _numbers(cells: Any, layout: Layout, feature: Number | Integer) -> tuple[npt.NDArray[np.float64], Mask]:
    """Cells that are not plain numbers count as not good: they are read one by one."""
    if layout.decimal == ",":
        # A point is no decimal sign here.
        cells = pc.replace_substring(_without(cells, r"\."), ",", ".")
    elif layout.is_decimal_doubtful:
        cells = _without(cells, TWO_READINGS)
    try:
        numbers = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        plain = pc.match_substring_regex(cells, _PLAIN)
        numbers = pc.cast(pc.if_else(plain, cells, "nan"), pa.float64()).to_numpy(zero_copy_only=False)
    return numbers, _within(numbers, feature)


def _without(cells: Any, pattern: str) -> Any:
    """The cells; empty texts instead of those with a point that match the pattern."""
    return pc.if_else(pc.match_substring_regex(cells, pattern), "", cells) if contains(cells, b".") else cells


def _within(numbers: npt.NDArray[np.float64], feature: Number | Integer) -> Mask:
    is_good = np.isfinite(numbers)
    low, high = feature.minimum, feature.maximum
    if isinstance(feature, Integer):
        is_good &= np.floor(numbers) == numbers
        low = -LARGEST_INTEGER if low is None else low
        high = LARGEST_INTEGER if high is None else high
    if low is not None:
        is_good &= numbers >= low
    if high is not None:
        is_good &= numbers <= high
    return np.asarray(is_good)


# --- Rows -------------------------------------------------------------------------------------------------------------
def _clean_row(block: Block, layout: Layout, signature: Signature, row: int, *, has_damage: bool) -> list[Value]:
    """Raises InvalidInput."""
    _check_flaw(block, row)
    given = {}
    damaged: list[Problem] = []
    for feature, place in zip(signature.features, layout.matched, strict=True):
        if place is None:
            continue
        text = block.cells[place][row].as_py()
        if has_damage and (problem := _damage(feature.name, text, layout)):
            damaged.append(problem)
        given[feature.name] = read_cell(feature, text, layout)
    try:
        values = signature.clean(given)
    except InvalidInput as error:
        named = {problem.feature for problem in damaged}
        others = [_explained(p, signature, given, layout) for p in error.problems if p.feature not in named]
        raise InvalidInput([*damaged, *others]) from None
    if damaged:
        raise InvalidInput(damaged)
    return values


def _damage(feature: str, text: str, layout: Layout) -> Problem | None:
    """The problem of a cell with bytes that the encoding does not know, or of a cell that is shown but has no value."""
    if re.search(DAMAGED_CHARACTERS, text):
        message = english(
            "Holds bytes that are not {encoding}. Save the file in one encoding.", encoding=layout.encoding
        )
        return Problem(feature, "wrong_encoding", message)
    return marks.problem_of(feature, text)


def _explained(problem: Problem, signature: Signature, given: Mapping[str, Any], layout: Layout) -> Problem:
    """The problem; for a number with two readings, one that says so."""
    name = problem.feature or ""
    feature, text = signature.by_name.get(name), given.get(name)
    if not isinstance(feature, Number | Integer) or not isinstance(text, str) or not has_two_readings(text.strip()):
        return problem
    if layout.decimal_certainty == "known":
        message = english(
            "Can be read in two ways: its “{mark}” may separate thousands or decimals. Write thousands without a"
            " separator, and decimals with the decimal sign of the file, “{decimal}”.",
            mark="," if "," in text else ".",
            decimal=layout.decimal,
        )
    else:
        message = english(
            "Can be read in two ways: its “{mark}” may separate thousands or decimals. Write thousands without a"
            " separator, or set the decimal sign of the file (decimal).",
            mark="," if "," in text else ".",
        )
    return Problem(problem.feature, "two_ways", message)


def _check_flaw(block: Block, row: int) -> None:
    if flaw := block.flaws.get(row):
        raise InvalidInput([Problem(None, flaw.code, flaw.message)])


def read_cell(feature: Feature, text: str, layout: Layout) -> Any:
    """The value of a cell, None if it is empty. A text that cannot be read stays as it is: the signature refuses it."""
    if isinstance(feature, Text):
        return text if text or feature.required else None
    if isinstance(feature, Choice) and text in feature.values:
        return text
    bare = text.strip()
    if not bare:
        return None
    if isinstance(feature, Number | Integer):
        return layout.read(bare)
    if isinstance(feature, Boolean):
        return BOOLEANS.get(bare.lower(), text)
    return _choice(feature, bare, layout.decimal) if isinstance(feature, Choice) else bare


def _choice(feature: Choice, text: str, decimal: str) -> Any:
    written = {str(value): value for value in feature.values}
    if text in written:
        return written[text]
    number = read_number(text, decimal)
    return number if number in feature.values else text


def _damaged(block: Block) -> Mask:
    """The rows with cells that `_damage` may refuse."""
    found = np.zeros(block.rows, dtype=bool)
    for cells in block.cells:
        if is_damaged(cells):
            pattern = f"{DAMAGED_CHARACTERS}|{marks.MARKED}"
            found |= pc.match_substring_regex(cells, pattern).to_numpy(zero_copy_only=False)
    return found


# --- Rows of JSON -----------------------------------------------------------------------------------------------------
def _check_objects(block: Block, layout: Layout, signature: Signature) -> Checked:
    pairs = zip(signature.names, layout.matched, strict=True)
    members = {name: layout.columns[place] for name, place in pairs if place is not None}
    values: list[list[Value]] = []
    problems: dict[int, list[Problem]] = {}
    good: list[int] = []
    for row, found in enumerate(block.objects or []):
        given = found or {}
        try:
            _check_flaw(block, row)
            values.append(signature.clean({name: given[own] for name, own in members.items() if own in given}))
            good.append(row)
        except InvalidInput as error:
            problems[row] = error.problems
    return Checked(np.array(good, dtype=np.intp), values, problems)


def what_stood_there(block: Block, layout: Layout, signature: Signature, row: int, problem: Problem) -> str:
    """The text of the cell that has the problem; the text of the line if the problem concerns the whole line."""
    if problem.feature is None:
        return shown(block.flaws[row].text) if row in block.flaws else ""
    place = layout.matched[signature.names.index(problem.feature)] if problem.feature in signature.names else None
    return "" if place is None else shown(block.cells[place][row].as_py())
