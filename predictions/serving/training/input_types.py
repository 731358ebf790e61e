"""Reads the types of the training data: the input schema that a version keeps, and the rows as plain Python values."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import scipy.sparse

from predictions.serving.engines.base import is_numeric
from predictions.serving.engines.table import TEXTS
from predictions.serving.registration import CannotRegister
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.input_schema import Cell, Column, InputSchema, Missing
from predictions.serving.schema.signature import Boolean, Choice, Date, Integer, Signature, Value

_CELLS: dict[type, Cell] = {
    str: "str",
    bool: "bool",
    int: "int",
    float: "float",
    date: "date",
    datetime: "datetime",
}
_CATEGORY_TYPES = (bool, int, str, float)
_NO_TABLE = "must be a pandas DataFrame, a two-dimensional array, a scipy matrix, or one column of texts"


def read_schema(which: str, x: Any, signature: Signature) -> InputSchema:
    """The types of a table. Raises CannotRegister where they do not fit the signature or cannot be kept."""
    if scipy.sparse.issparse(x):
        return _sparse(which, x, signature)
    if type(x).__module__.partition(".")[0] == "pandas":
        return _frame(which, x, signature) if hasattr(x, "columns") else _series(which, x, signature)
    if isinstance(x, list) and all(isinstance(value, str) or value is None for value in x):
        _check_width(which, 1, signature)
        return InputSchema(container="list", columns=(_object_column(None, x),))
    if hasattr(x, "columns"):
        raise CannotRegister(f"The {which} data is a {type(x).__name__}: x {_NO_TABLE}.")
    return _array(which, np.asarray(x), signature)


def with_missing_of(schema: InputSchema, other: InputSchema, *, seen: Any) -> InputSchema:
    """The schema, with missing values written as in `other` where the training data had none."""
    if scipy.sparse.issparse(seen):
        return schema
    columns = tuple(
        column.model_copy(update={"missing": beside.missing})
        if column.dtype == beside.dtype == "object" and column.missing == "NaN" and not _has_missing(cells(seen, place))
        else column
        for place, (column, beside) in enumerate(zip(schema.columns, other.columns, strict=True))
    )
    return schema.model_copy(update={"columns": columns})


def default_schema(signature: Signature, *, frame: bool) -> InputSchema:
    """The types for a version without data: those that pandas (with `frame`) or numpy gives to such values."""
    dtypes = [_default_dtype(feature) for feature in signature.features]
    if not frame:
        dtypes = ["object" if "object" in dtypes else "float64"] * len(dtypes)
    columns = tuple(
        Column(
            label=feature.name if frame else None,
            dtype=dtype,
            cell="float" if is_numeric(feature) and dtype == "object" else None,
        )
        for feature, dtype in zip(signature.features, dtypes, strict=True)
    )
    return InputSchema(container="frame" if frame else "array", columns=columns)


def python_rows(x: Any, signature: Signature) -> list[list[Any]]:
    """A table as rows of plain Python values: a missing value is None, a date is ISO text."""
    x = x.toarray() if scipy.sparse.issparse(x) else x
    columns = [
        [_plain(value, feature) for value in cells(x, place)] for place, feature in enumerate(signature.features)
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def clean_rows(which: str, x: Any, signature: Signature) -> list[list[Value]]:
    """The rows as serving would get them. Raises CannotRegister with the row and every problem of it."""
    found = []
    for number, row in enumerate(python_rows(x, signature), start=1):
        try:
            found.append(signature.clean(row))
        except InvalidInput as error:
            wrong = "; ".join(f"{p.feature or 'row'}: {p.message}" for p in error.problems)
            raise CannotRegister(f"Row {number} of the {which} data does not fit model.toml: {wrong}") from None
    return found


def cells(x: Any, place: int) -> list[Any]:
    """One column of any dense container as Python values."""
    if hasattr(x, "iloc"):
        column = x if x.ndim == 1 else x.iloc[:, place]
        return list(column.astype(object).tolist())
    table = np.asarray(x, dtype=object) if isinstance(x, list) else x
    column = table if table.ndim == 1 else table[:, place]
    if column.dtype.kind == "M":
        return list(column.astype("datetime64[us]").tolist())
    return list(column.tolist())


# --- Containers -------------------------------------------------------------------------------------------------------
def _frame(which: str, x: Any, signature: Signature) -> InputSchema:
    labels = list(x.columns)
    if not all(isinstance(label, str | int | np.integer) for label in labels):
        raise CannotRegister(f"The {which} data has column labels that are neither text nor whole numbers.")
    names = [str(label) for label in labels]
    if sorted(names) != sorted(signature.names):
        raise CannotRegister(f"The {which} data has {_other_columns(names, signature.names)}.")
    if tuple(names) != signature.names:
        raise CannotRegister(f"Features must be described in the order of the data's columns: {', '.join(names)}.")
    columns = tuple(
        _pandas_column(label if isinstance(label, str) else int(label), x.iloc[:, place], feature)
        for place, (label, feature) in enumerate(zip(labels, signature.features, strict=True))
    )
    return InputSchema(container="frame", columns=columns)


def _series(which: str, x: Any, signature: Signature) -> InputSchema:
    _check_width(which, 1, signature)
    column = _pandas_column(str(x.name) if x.name is not None else None, x, signature.features[0])
    return InputSchema(container="series", columns=(column,))


def _array(which: str, x: Any, signature: Signature) -> InputSchema:
    if x.ndim not in (1, 2) or x.dtype.kind not in "fiubOUM" or x.dtype.names:
        raise CannotRegister(f"The {which} data has shape {x.shape} and dtype {x.dtype}: x {_NO_TABLE}.")
    width = x.shape[1] if x.ndim == 2 else 1
    _check_width(which, width, signature)
    columns = [_array_column(x if x.ndim == 1 else x[:, place]) for place in range(width)]
    return InputSchema(container="array" if x.ndim == 2 else "vector", columns=tuple(columns))


def _sparse(which: str, x: Any, signature: Signature) -> InputSchema:
    _check_width(which, x.shape[1], signature)
    kind = type(x).__name__
    if kind not in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        raise CannotRegister(f"The {which} data is a {kind}: convert it with tocsr().")
    column = Column(dtype=str(x.dtype))
    return InputSchema(container="sparse", columns=(column,) * x.shape[1], matrix=kind)


def _check_width(which: str, width: int, signature: Signature) -> None:
    if width != len(signature.names):
        raise CannotRegister(f"The {which} data has {width} columns, model.toml describes {len(signature.names)}.")


def _other_columns(names: Sequence[str], described: Sequence[str]) -> str:
    more = [name for name in names if name not in described]
    less = [name for name in described if name not in names]
    if more:
        return f"columns that model.toml does not describe: {', '.join(more)}"
    return f"no column for the features {', '.join(less)}" if less else "two columns of one name"


# --- Columns ----------------------------------------------------------------------------------------------------------
def _array_column(values: Any) -> Column:
    if values.dtype == object:
        return _object_column(None, values.tolist())
    return Column(dtype=TEXTS if values.dtype.kind == "U" else str(values.dtype))


def _pandas_column(label: int | str | None, values: Any, feature: Any) -> Column:
    dtype = str(values.dtype)
    if dtype == "category":
        return _category_column(label, values.dtype, feature)
    if dtype == "object":
        return _object_column(label, values.tolist())
    return Column(label=label, dtype=dtype)


def _category_column(label: int | str | None, dtype: Any, feature: Any) -> Column:
    categories = dtype.categories.tolist()
    if not isinstance(feature, Choice | Boolean) or not all(isinstance(c, _CATEGORY_TYPES) for c in categories):
        raise CannotRegister(f"Column {label} has dtype category: describe it with kind = choice, or change its dtype.")
    strangers = [value for value in feature.values if value not in categories] if isinstance(feature, Choice) else []
    if strangers:
        raise CannotRegister(f"Column {label}: the choices {strangers} are no categories of the training data.")
    return Column(
        label=label,
        dtype="category",
        categories=tuple(categories),
        categories_dtype=str(dtype.categories.dtype),
        ordered=bool(dtype.ordered),
    )


def _object_column(label: int | str | None, values: Sequence[Any]) -> Column:
    missing = Counter(_written(value) for value in values if is_missing(value))
    marker: Missing = missing.most_common(1)[0][0] if missing else "" if "" in values else "NaN"
    types = {type(value) for value in values if not is_missing(value)}
    (only,) = types if len(types) == 1 else (None,)
    cell = "datetime" if only is not None and only.__name__ == "Timestamp" else _CELLS.get(only or object)
    return Column(label=label, dtype="object", missing=marker, cell=cell)


def _default_dtype(feature: Any) -> str:
    if isinstance(feature, Integer) and feature.required:
        return "int64"
    if isinstance(feature, Boolean) and feature.required:
        return "bool"
    if isinstance(feature, Date):
        return "datetime64[ns]"
    return "float64" if is_numeric(feature) else "object"


# --- Values -----------------------------------------------------------------------------------------------------------
def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN, NaT or pandas' NA. NaN differs from itself; a comparison with NA gives no bool."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or bool(_differs(value))


def _has_missing(values: Sequence[Any]) -> bool:
    return any(is_missing(value) for value in values)


def _differs(value: Any) -> bool:
    return isinstance(value, float | np.floating | np.datetime64) and value != value


def _written(value: Any) -> Missing:
    if value is None:
        return "None"
    names: dict[str, Missing] = {"NAType": "NA", "NaTType": "NaT"}
    return names.get(type(value).__name__, "NaN")


def _is_unlisted_blank(value: Any, feature: Any) -> bool:
    """Whether the empty text stands for a missing choice."""
    return isinstance(value, str) and not value and isinstance(feature, Choice) and "" not in feature.values


def _plain(value: Any, feature: Any) -> Any:
    if is_missing(value) or _is_unlisted_blank(value, feature):
        return None
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, datetime) and isinstance(feature, Date):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return bool(value) if isinstance(feature, Boolean) and value in (0, 1) else value
