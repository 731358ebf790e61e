"""Builds an estimator's input table from cleaned rows, with the types of its training data for any number of rows.

A column of whole numbers or booleans cannot hold a missing value or a fraction. Rows with such values are predicted
apart from the rows that fit, with that column as float64. So each row gets the table that it would get alone, and it
does not change the table of other rows.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np

from predictions.serving.schema.input_schema import Column, InputSchema
from predictions.serving.schema.signature import Value

# numpy's dtype of texts of any width.
TEXTS = "<U"


def build_table(rows: Sequence[Sequence[Value]], schema: InputSchema) -> Any:
    """One table of the rows, which must belong to one group of `typing_groups`."""
    if schema.is_plain:
        return np.array(rows, dtype=np.float64)
    columns = list(zip(*rows, strict=True))
    if schema.container in ("array", "sparse"):
        return _matrix(columns, schema)
    if schema.container == "frame":
        return _frame(columns, schema)
    return _one_dimensional(columns[0], schema)


def typing_groups(rows: Sequence[Sequence[Value]], schema: InputSchema) -> list[list[int]]:
    """Positions of the rows that may share a table."""
    strict = schema.strict_columns
    if not strict:
        return [list(range(len(rows)))]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, row in enumerate(rows):
        misfits = tuple(place for place in strict if not _fits(row[place], schema.columns[place].dtype))
        # In an array, one such value changes the dtype of all columns.
        key = misfits if schema.container == "frame" else misfits[:0] if not misfits else (-1,)
        groups.setdefault(key, []).append(position)
    return list(groups.values())


def _fits(value: Value, dtype: str) -> bool:
    if value is None:
        return dtype.startswith(("Int", "UInt"))
    if isinstance(value, str | bool):
        return True
    if dtype in (TEXTS, "bool"):
        return dtype == "bool"
    limits = np.iinfo(dtype.lower())
    return float(value).is_integer() and bool(limits.min <= value <= limits.max)


def _wider(column: Column, values: Sequence[Value]) -> str:
    """The dtype that all these values fit."""
    if not column.is_strict or all(_fits(value, column.dtype) for value in values):
        return column.dtype
    if column.dtype == TEXTS:
        return "object"
    return "Float64" if column.dtype.startswith(("Int", "UInt")) else "float64"


# --- Containers -------------------------------------------------------------------------------------------------------
def _frame(columns: Sequence[Sequence[Value]], schema: InputSchema) -> Any:
    import pandas as pd  # noqa: PLC0415  # only estimators that were trained on pandas need it

    series = [_pandas_column(values, column) for values, column in zip(columns, schema.columns, strict=True)]
    return pd.DataFrame({column.label: values for column, values in zip(schema.columns, series, strict=True)})


def _matrix(columns: Sequence[Sequence[Value]], schema: InputSchema) -> Any:
    dtype = _common({_wider(column, values) for values, column in zip(columns, schema.columns, strict=True)})
    # numpy would cut a text that is longer than those of the training data.
    table = np.empty((len(columns[0]), len(columns)), dtype="object" if dtype == TEXTS else dtype)
    for place, (values, column) in enumerate(zip(columns, schema.columns, strict=True)):
        table[:, place] = objects(values, column) if table.dtype == object else np.array(values, dtype=dtype)
    if schema.matrix is None:
        return np.array(table.tolist(), dtype="str") if dtype == TEXTS else table
    import scipy.sparse  # noqa: PLC0415  # few estimators take sparse tables

    return getattr(scipy.sparse, schema.matrix)(table)


def _common(dtypes: set[str]) -> str:
    """The dtype of a whole array, of which some columns may have needed a wider one."""
    if len(dtypes) == 1:
        (dtype,) = dtypes
        return dtype
    return "object" if "object" in dtypes else "float64"


def _one_dimensional(values: Sequence[Value], schema: InputSchema) -> Any:
    (column,) = schema.columns
    if schema.container == "list":
        return objects(values, column)
    if schema.container == "vector":
        dtype = _wider(column, values)
        if dtype == "object":
            return _object_array(values, column)
        return np.array(values, dtype="str" if dtype == TEXTS else dtype)
    import pandas as pd  # noqa: PLC0415  # only estimators that were trained on pandas need it

    return pd.Series(_pandas_column(values, column), name=column.label)


def _pandas_column(values: Sequence[Value], column: Column) -> Any:
    import pandas as pd  # noqa: PLC0415  # only estimators that were trained on pandas need it

    dtype = _wider(column, values)
    if column.categories is not None:
        known = pd.Index(list(column.categories), dtype=column.categories_dtype)
        return pd.Categorical(list(values), dtype=pd.CategoricalDtype(known, column.ordered))
    if dtype == "object":
        return pd.Series(_object_array(values, column), dtype=object)
    if dtype.startswith(("float", "int", "uint", "bool")) and dtype != "boolean":
        return np.array(values, dtype=dtype)
    return pd.array(list(values), dtype=dtype)


# --- Cells of object columns ------------------------------------------------------------------------------------------
def objects(values: Sequence[Value], column: Column) -> list[Any]:
    """The values as Python objects of the type that the training data had."""
    missing = missing_value(column.missing)
    convert = _CELLS.get(column.cell or "", _unchanged)
    return [missing if value is None else convert(value) for value in values]


def missing_value(written: str) -> Any:
    if written in ("NA", "NaT"):
        import pandas as pd  # noqa: PLC0415  # only where the training data had pandas' own markers

        return pd.NA if written == "NA" else pd.NaT
    return {"None": None, "": ""}.get(written, np.nan)


def _object_array(values: Sequence[Value], column: Column) -> Any:
    table = np.empty(len(values), dtype=object)
    table[:] = objects(values, column)
    return table


def _unchanged(value: Any) -> Any:
    return value


def _whole(value: Any) -> Any:
    return int(value) if float(value).is_integer() else value


def _timestamp(value: Any) -> Any:
    import pandas as pd  # noqa: PLC0415  # only where the training data had timestamps

    return pd.Timestamp(value)


_CELLS: Mapping[str, Callable[[Any], Any]] = {
    "int": _whole,
    "float": float,
    "bool": bool,
    "date": date.fromisoformat,
    "datetime": _timestamp,
}
