"""Reads the data files of an import, CSV and Parquet, with the types that the estimator needs."""

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from predictions.serving.registration import CannotRegister
from predictions.serving.schema.kinds import LARGEST_INTEGER
from predictions.serving.schema.wording import is_storable

# What pandas reads as a missing value (its documentation of read_csv, na_values).
MISSING = frozenset(
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>"),
        *("N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
# Digits that a number would lose.
_PADDED = r"0[0-9]+"
_DELIMITERS = (",", ";", "\t", "|")
# If more than this share of a text column can be read as numbers, its other texts are taken for errors.
_MOSTLY = 0.5


def read_table(
    path: Path, texts: Sequence[str] = (), words: Mapping[str, frozenset[str]] | None = None
) -> pd.DataFrame:
    """The table of a file. The columns in `texts` are read as texts. `words` has, by column, texts that are values
    although pandas would read them as missing, such as "NA". Raises CannotRegister.
    """
    if not path.is_file():
        raise CannotRegister(f"{path} is not there: check the path of the data.")
    frame = _parquet(path) if _is_parquet(path) else _csv(path, texts, words or {})
    _check(path, frame)
    return frame


def as_written(path: Path, names: Sequence[str]) -> pd.DataFrame:
    """Columns of a CSV as texts, in which only an empty cell is missing."""
    return _csv(path, names, dict.fromkeys(names, MISSING - {""}))[[*names]]


def lost_texts(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> "dict[str, pd.Series[bool]]":
    """By column, the cells of a CSV whose text pandas may lose: 01067 among numbers, "NA" among texts, and True.

    Only columns with such cells are in it. Parquet has types and loses nothing.
    """
    open_names = [] if _is_parquet(path) else [name for name in names if not _has_fractions(frame[name])]
    if not open_names:
        return {}
    written = as_written(path, open_names)
    found = {name: _looks_lost(frame[name], written[name]) for name in open_names}
    return {name: mask for name, mask in found.items() if mask.any()}


def _has_fractions(column: pd.Series) -> bool:
    """Whether a column certainly holds measured numbers. It is then not read once more, which saves memory."""
    return pd.api.types.is_float_dtype(column.dtype) and bool((column.dropna() % 1 != 0).any())


def _looks_lost(column: pd.Series, written: pd.Series) -> "pd.Series[bool]":
    """Looks at each different value once: a large file has many cells."""
    kinds = {type(value) for value in column.dropna().unique().tolist()}
    if kinds == {bool}:
        return written.notna()
    lost = {text for text in written.dropna().unique() if re.fullmatch(_PADDED, text)}
    return written.isin(lost | MISSING if kinds == {str} else lost)


def line_of(path: Path, row: int) -> int:
    """The line on which a row (counted from 0) begins: quoted texts may have line breaks. In Parquet, its number."""
    if _is_parquet(path):
        return row + 1
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=_delimiter(path))
        before = 0
        for number, cells in enumerate(line for line in reader if line):
            if number == row + 1:
                return before + 1 if any("\n" in cell for cell in cells) else reader.line_num
            before = reader.line_num
    return row + 2


def place(path: Path, row: int) -> str:
    """The file name, with the line of the row (counted from 0), or with its number in a Parquet file."""
    return f"{path.name}, {'row' if _is_parquet(path) else 'line'} {line_of(path, row)}"


def check_column(path: Path, frame: pd.DataFrame, name: str, what: str) -> None:
    if name in frame.columns:
        return
    near = difflib.get_close_matches(name, [str(column) for column in frame.columns], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise CannotRegister(f"{path} has no column {name!r}, {what}; it has {_few(frame.columns)}.{hint}")


def check_numbers(path: Path, column: pd.Series) -> None:
    """Raises CannotRegister if a column of texts holds mostly numbers, naming the first text that is not a number."""
    present = column.dropna()
    if present.empty or not present.map(lambda value: isinstance(value, str)).all():
        return
    numbers = pd.to_numeric(present.str.strip().str.replace(",", ".", regex=False), errors="coerce")
    plain = pd.to_numeric(present.str.strip(), errors="coerce")
    if numbers.notna().mean() <= _MOSTLY or plain.notna().all():
        return
    first = plain.index[plain.isna()][0]
    value = present[first]
    remedy = "write decimals with a point" if pd.notna(numbers[first]) else "correct it, or leave it empty"
    where = place(path, int(column.index.get_loc(first)))
    raise CannotRegister(f"{where}: column {column.name!r} holds numbers, and {value!r} is none: {remedy}.")


def check_whole_numbers(path: Path, column: pd.Series) -> None:
    """Raises CannotRegister for a whole number that JSON and doubles do not hold exactly, naming its place."""
    if not pd.api.types.is_integer_dtype(column.dtype):
        return
    is_large = ((column > LARGEST_INTEGER) | (column < -LARGEST_INTEGER)).fillna(False).to_numpy(dtype=bool)
    if is_large.any():
        row = int(is_large.argmax())
        raise CannotRegister(
            f"{place(path, row)}: column {column.name!r} is {column.iloc[row]}, and JSON is not exact beyond "
            f"{LARGEST_INTEGER}. If it is an identifier, fit without it."
        )


def _csv(path: Path, texts: Sequence[str], words: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    delimiter = _delimiter(path)
    missing = {name: sorted(MISSING - taken) for name, taken in words.items()}
    options: dict[str, Any] = {"na_values": missing, "keep_default_na": False} if missing else {}
    try:
        _check_header(path, delimiter)
        header = pd.read_csv(path, sep=delimiter, nrows=0, encoding="utf-8-sig")
        if missing:
            options["na_values"] = {name: missing.get(name, sorted(MISSING)) for name in header.columns}
        dtypes = {name: "str" for name in texts if name in header.columns}
        return pd.read_csv(
            path, sep=delimiter, dtype=dtypes, encoding="utf-8-sig", index_col=False, low_memory=False, **options
        )
    except UnicodeDecodeError as error:
        raise CannotRegister(f"{path}: byte {error.start} is not UTF-8: save the file as UTF-8.") from error
    except CannotRegister:
        raise
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as error:
        raise CannotRegister(f"{path} cannot be read as CSV: {' '.join(str(error).split()).rstrip('.')}.") from error


def _check_header(path: Path, delimiter: str) -> None:
    """Raises CannotRegister for a name that stands twice in the header. pandas would rename the second column."""
    line = pd.read_csv(
        path, sep=delimiter, nrows=1, header=None, dtype="str", encoding="utf-8-sig", keep_default_na=False
    )
    _check_repeated(path, line.iloc[0][line.iloc[0] != ""])


def _check_repeated(path: Path, names: "pd.Series[str] | pd.Index[str]") -> None:
    repeated = names[names.duplicated()].tolist()
    if repeated:
        raise CannotRegister(f"{path} has two columns called {repeated[0]!r}: rename one of them.")


def _is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def _delimiter(path: Path) -> str:
    """The delimiter that the first line has most often; a comma if it has none."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        head = file.readline()
    return max(_DELIMITERS, key=head.count)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path).reset_index(drop=True)
    except ImportError as error:
        raise CannotRegister(
            f"{path}: Parquet needs pyarrow: pip install pyarrow, or bring the data as CSV."
        ) from error
    except (OSError, ValueError) as error:
        raise CannotRegister(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}") from error


def _check(path: Path, frame: pd.DataFrame) -> None:
    if not len(frame):
        raise CannotRegister(f"{path} has no rows below its header.")
    frame.columns = [str(name) for name in frame.columns]
    _check_repeated(path, frame.columns)
    for name in frame.columns:
        if not is_storable(name):
            raise CannotRegister(f"{path}: the column {name!r} has a character that cannot be stored: rename it.")
        _check_texts(path, frame[name])


def _check_texts(path: Path, column: pd.Series) -> None:
    """Raises CannotRegister, which names the place, for a text that cannot be stored."""
    if pd.api.types.is_numeric_dtype(column):
        return
    is_unstorable = column.map(lambda value: isinstance(value, str) and not is_storable(value)).to_numpy(dtype=bool)
    if is_unstorable.any():
        row = int(is_unstorable.argmax())
        what = f"column {column.name!r} has {column.iloc[row]!r} with a character that cannot be stored"
        raise CannotRegister(f"{place(path, row)}: {what}: correct it.")


def _few(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:12]) + (f" and {len(listed) - 12} more" if len(listed) > 12 else "")
