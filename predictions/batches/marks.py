"""Marks at the start of cells that a workbook shows, but which have no value. They are characters for internal use
(Unicode, 23.7), so no text has them."""

import re

from predictions.serving.schema.errors import Problem
from predictions.serving.schema.sentences import english

ERROR, NOT_STORED, MERGED = "\ufdd1", "\ufdd2", "\ufdd3"
MARKED = f"^[{ERROR}-{MERGED}]"


def problem_of(feature: str, text: str) -> Problem | None:
    """The problem of a marked cell; None for other cells."""
    if text.startswith(ERROR):
        message = english("The sheet shows the error {error} in this cell. Correct its formula.", error=text[1:])
        return Problem(feature, "sheet_error", message)
    if text.startswith(NOT_STORED):
        message = english(
            "This cell has a formula without a stored value. Open the file in a spreadsheet program and save it there."
        )
        return Problem(feature, "formula_without_value", message)
    if text.startswith(MERGED):
        message = english("This cell is merged with another one. Unmerge them, and give each row its own value.")
        return Problem(feature, "merged_cell", message)
    return None


def unmarked(text: str) -> str:
    return re.sub(MARKED, "", text)
