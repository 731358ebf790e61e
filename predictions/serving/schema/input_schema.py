"""The types of the table on which an estimator was trained, so that serving builds the same table for any rows.

This module only describes the types. It imports neither numpy nor pandas, since the web process reads the manifest.
`engines.table` builds tables from it, `training.input_types` reads it from the training data.
"""

from functools import cached_property
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

# A DataFrame, a two-dimensional array, a scipy matrix; or one text column as a Series, an array or a list.
Container: TypeAlias = Literal["frame", "array", "sparse", "series", "vector", "list"]
Matrix: TypeAlias = Literal["csr_matrix", "csc_matrix", "csr_array", "csc_array"]
Missing: TypeAlias = Literal["NaN", "None", "NA", "NaT", ""]
Cell: TypeAlias = Literal["str", "int", "float", "bool", "date", "datetime"]
Category: TypeAlias = StrictBool | StrictInt | StrictStr | StrictFloat

# numpy's dtypes that have no missing value, and pandas' nullable whole numbers, which have no fraction.
_STRICT = ("int", "uint", "bool", "<U", "Int", "UInt")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(_Frozen):
    """One column. `dtype` is the name that numpy or pandas gives it.

    Two fields describe object columns. `missing` is the marker of a missing value, where "" is the empty text. `cell`
    is the type of the values, or None if they had several types. `categories` are those of a category dtype, in order.
    """

    label: StrictInt | StrictStr | None = None
    dtype: str
    missing: Missing = "NaN"
    cell: Cell | None = None
    categories: tuple[Category, ...] | None = None
    categories_dtype: str | None = None
    ordered: bool = False

    @property
    def is_strict(self) -> bool:
        """Whether the dtype cannot hold every value that a feature may allow, namely a missing value or a fraction."""
        return self.dtype.startswith(_STRICT) and self.dtype != "boolean"


class InputSchema(_Frozen):
    """All columns in signature order. The columns of an array or a matrix have one dtype.

    `matrix` is scipy's class of a sparse table.
    """

    container: Container
    columns: tuple[Column, ...] = Field(min_length=1)
    matrix: Matrix | None = None

    @cached_property
    def is_plain(self) -> bool:
        """Whether the table is one array of float64. numpy converts None to NaN in such an array."""
        return self.container == "array" and self.columns[0].dtype == "float64"

    @cached_property
    def strict_columns(self) -> tuple[int, ...]:
        return tuple(place for place, column in enumerate(self.columns) if column.is_strict)
