"""DataFrames: sent as a file of JSON lines, and answered by a DataFrame. Needs pandas, part of the extra `frames`.

In JSON lines a missing value differs from an empty text, and numbers keep their types.
"""

import csv
import difflib
import io
import json
import math
import re
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from foretell_client import files
from foretell_client.files import FileFlows
from foretell_client.flows import Flow, as_json
from foretell_client.results import ModelDetail

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# Rows that are written at a time, and the bytes of a file that stay in memory.
_ROWS = 10_000
_IN_MEMORY = 8 * 1024 * 1024
# The server puts an apostrophe in front of a text that a spreadsheet would run as a formula.
_GUARDED = re.compile(r"^'(?='*[=+\-@\t\r\n])")
_TEXTS = ("prediction_set", "grade", "advice", "error")


def is_frame(rows: Any) -> bool:
    return hasattr(rows, "to_dict") and hasattr(rows, "columns")


def predict(
    flows: FileFlows,
    model: ModelDetail,
    frame: "DataFrame",
    within: float | None,
    version: int | str | None,
    show: bool,
) -> "Flow[DataFrame]":
    """The answers to the rows of `frame`, with the same index. A row that cannot be answered has an `error`.

    Raises:
        ValueError: the frame has no row, lacks a column, has one twice, or holds an infinite number, or an optional
            column seems to be misspelt; nothing was sent.
        JobEnded: the job failed, expired or was canceled.
        JobNotFinished: the job did not finish within `within` seconds.
        ImportError: `show` is set, and tqdm is not installed.
    """
    signature = model.signature or {"properties": {}, "required": []}
    columns = _columns(frame, list(signature["properties"]), signature["required"])
    on_progress, close = files.progress_bar(len(frame)) if show else (files.silent, lambda: None)
    try:
        with _temporary() as sent, _temporary() as answer:
            sent.writelines(_lines(columns, len(frame)))
            sent.seek(0)
            job = yield from flows.submit(model.name, sent, "rows.jsonl", None, version, {})
            job = files.ended_well((yield from flows.wait(job, within, on_progress)))
            yield from flows.save(job.id, "results", answer, "csv")
            return _answers(answer, frame, len(columns), model.task)
    finally:
        close()


def _temporary() -> IO[bytes]:
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


# --- Rows -------------------------------------------------------------------------------------------------------------
def _columns(frame: "DataFrame", names: Sequence[str], required: Sequence[str]) -> list["Series[Any] | None"]:
    """The columns of the features in the order of the signature; None for an optional column that is missing."""
    known = list(frame.columns)
    if not len(frame):
        raise ValueError("The DataFrame has no row.")
    if missing := [name for name in required if name not in known]:
        raise ValueError(f"The DataFrame has no column {_listed(missing)}. Add it, or rename a column.")
    if twice := [name for name in names if known.count(name) > 1]:
        raise ValueError(f"The DataFrame has the column {_listed(twice)} more than once. Keep one of them.")
    _check_spelling([name for name in names if name not in known], [str(name) for name in known if name not in names])
    columns = [frame[name] if name in known else None for name in names]
    if infinite := [str(column.name) for column in columns if column is not None and _has_infinity(column)]:
        raise ValueError(f"The column {_listed(infinite)} holds an infinite number, which no model can be asked.")
    return columns


def _check_spelling(absent: Sequence[str], others: Sequence[str]) -> None:
    """Raises ValueError if another column has almost the name of an optional one that is absent."""
    for name in absent:
        by_folded = {other.casefold(): other for other in others}
        if near := difflib.get_close_matches(name.casefold(), by_folded, 1, 0.8):
            told = f"The DataFrame has no column {name!r}. Did you mean its column {by_folded[near[0]]!r}? Rename it;"
            raise ValueError(f"{told} if it is something else, leave it out.")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _has_infinity(column: "Series[Any]") -> bool:
    return column.dtype.kind == "f" and bool(column.isin([math.inf, -math.inf]).any())


def _lines(columns: Sequence["Series[Any] | None"], rows: int) -> Iterator[bytes]:
    """Each row as a JSON list, with null for missing values."""
    for start in range(0, rows, _ROWS):
        size = min(_ROWS, rows - start)
        values = [[None] * size if one is None else _values(one.iloc[start : start + size]) for one in columns]
        for row in zip(*values, strict=True):
            yield json.dumps(row, default=as_json, allow_nan=False).encode() + b"\n"


def _values(column: "Series[Any]") -> list[Any]:
    return column.astype(object).where(column.notna(), None).tolist()  # type: ignore[no-any-return,unused-ignore]


# --- Answers ----------------------------------------------------------------------------------------------------------
def _answers(file: IO[bytes], frame: "DataFrame", width: int, task: str) -> "DataFrame":
    """The columns of the results that follow the columns of the features."""
    import pandas as pd  # noqa: PLC0415 - part of the extra `frames`

    file.seek(0)
    text = io.TextIOWrapper(file, "utf-8", newline="")
    names = next(csv.reader(text))[width:]
    found = pd.read_csv(text, header=None, usecols=range(width, width + len(names)), dtype=str, keep_default_na=False)
    text.detach()
    found.columns = pd.Index([_GUARDED.sub("", name) for name in names])
    found.index = frame.index
    return found.apply(lambda column: _typed(column, _is_number(str(column.name), task)))


def _is_number(name: str, task: str) -> bool:
    kind = next((text for text in _TEXTS if name == text or name.startswith(f"{text}_")), "")
    return not kind and (task == "regression" or not name.startswith("prediction"))


def _typed(column: "Series[Any]", is_number: bool) -> "Series[Any]":
    import pandas as pd  # noqa: PLC0415

    if is_number:
        return pd.to_numeric(column.where(column != "", None))
    return column.str.replace(_GUARDED, "", regex=True).where(column != "", None)
