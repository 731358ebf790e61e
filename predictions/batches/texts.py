"""Cells as texts, and their guard against formulas. The web process imports this module.

A spreadsheet runs a cell that begins with =, +, -, @, a tab or a line break as a formula, also from a CSV file. Such a
cell gets an apostrophe in front, unless it is a number: a guard would destroy negative numbers. So does a cell that has
apostrophes before such a character, so that the guard can be taken off again.
"""

import re
from typing import Any

import orjson

# Regular expressions for Python and pyarrow.
FORMULA = r"^'*[=+\-@\t\r\n]"
NUMBER = r"^[+-]?[0-9 '.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?$"
GUARDED = r"^'('*[=+\-@\t\r\n])"
GUARD = "'"


def guarded(text: str) -> str:
    is_risky = re.match(FORMULA, text) and not re.fullmatch(NUMBER, text)
    return GUARD + text if is_risky else text


def unguarded(text: str) -> str:
    """The text as it was before `guarded`."""
    return text[1:] if re.match(GUARDED, text) else text


def cell_text(row: dict[str, Any] | None, name: str) -> str:
    """The member of an object of JSON as a cell."""
    value = (row or {}).get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
