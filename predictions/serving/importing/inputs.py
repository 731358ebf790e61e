"""Makes an estimator's input from the data of an import: its columns, in its order, with the types of its training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictions.serving.importing import witness as witnessing
from predictions.serving.importing.column_witness import Witness
from predictions.serving.importing.data_file import (
    MISSING,
    check_column,
    check_numbers,
    check_whole_numbers,
    place,
    read_table,
)
from predictions.serving.importing.targets import target_classes
from predictions.serving.registration import CannotRegister
from predictions.serving.training.fitted_columns import are_numbers_only, column_count, column_names
from predictions.serving.training.input_types import is_missing

_NO_TARGET = ("outliers", "clusters")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of the data that the estimator reads, in its order, and the facts about them by position.

    `container` is the form of the input: "frame" (a table with names), "array", or "series" (one column of texts).
    `as_written`: the columns that are texts in the data, although they may look like numbers or missing values.
    `is_order_assumed`: the estimator keeps no names of columns, so they are taken in the order of the data.
    """

    names: tuple[str, ...]
    witnesses: Mapping[int, Witness]
    container: str
    targets: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    as_written: tuple[str, ...] = ()
    is_order_assumed: bool = False


def columns_without_data(path: Path, estimator: Any) -> Columns:
    """The columns by the estimator alone. Raises CannotRegister if it does not give enough facts about them."""
    names, count = kept_names(estimator), column_count(estimator)
    if witnessing.takes_one_text(estimator) or (names is None and count is None):
        raise CannotRegister(f"{path} does not say which columns it reads: give rows with --data FILE --target COLUMN.")
    known = names or [f"feature {number}" for number in range(1, (count or 0) + 1)]
    found = witnessing.witnesses(estimator, len(known))
    needy = [known[at] for at, one in found.items() if one.is_text or one.needs_category_dtype or one.is_choice]
    needy = [name for name in needy if not _is_complete(found[known.index(name)])]
    if needy:
        raise CannotRegister(
            f"{path} reads {needy[0]!r} as text or categories: give rows with --data FILE --target COLUMN."
        )
    return Columns(tuple(known), found, "frame" if names else "array")


def columns_of_example(path: Path, frame: pd.DataFrame, estimator: Any) -> Columns:
    """The columns of rows without a target. Raises CannotRegister."""
    return columns_of_data(path, frame, estimator, _NO_TARGET[0], None)


def columns_of_data(path: Path, frame: pd.DataFrame, estimator: Any, task: str, target: str | None) -> Columns:
    """The columns of the data. Raises CannotRegister if the data lacks columns, or if the target is not clear."""
    names = kept_names(estimator, frame.columns)
    chosen = _named(path, frame, names) if names else None
    targets = _targets(path, frame, chosen, task, target)
    rest = [str(name) for name in frame.columns if name not in targets]
    if witnessing.takes_one_text(estimator):
        text = _text_column(path, frame, rest)
        unused = tuple(name for name in rest if name != text)
        return Columns((text,), witnessing.witnesses(estimator, 1), "series", targets, unused)
    if chosen is None:
        chosen = _counted(path, rest, column_count(estimator))
    unused = tuple(name for name in rest if name not in chosen)
    container = "frame" if names or column_count(estimator) is None else "array"
    found = witnessing.witnesses(estimator, len(chosen))
    return Columns(tuple(chosen), found, container, targets, unused, is_order_assumed=names is None)


def kept_names(estimator: Any, columns: Iterable[object] = ()) -> list[str] | None:
    """The names of columns that the estimator keeps; None if it has none, or only numbers that no column has."""
    names = column_names(estimator)
    if names is None or (are_numbers_only(names) and not {*names} <= {str(name) for name in columns}):
        return None
    return names


def read_rows(path: Path, columns: Columns, estimator: Any, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """The data, read as texts where the estimator, or the data in `like`, has texts: 01067 stays a text then, and "NA"
    may be a category or a class."""
    texts = [columns.names[at] for at, one in columns.witnesses.items() if _are_texts(one)]
    texts += [] if like is None else [name for name in columns.names if _holds_texts(like[name])]
    verbatim = [*columns.as_written, *(columns.names[at] for at, one in columns.witnesses.items() if one.is_text)]
    words = dict.fromkeys(verbatim, MISSING - {""}) | {
        columns.names[at]: taken
        for at, one in columns.witnesses.items()
        if (taken := MISSING & {value for value in one.categories or () if isinstance(value, str)} - {""})
    }
    for name, classes in zip(columns.targets, target_classes(estimator, len(columns.targets)), strict=True):
        if classes and all(isinstance(class_, str) for class_ in classes):
            texts.append(name)
            words[name] = MISSING.intersection(classes) - {""}
    frame = read_table(path, [*texts, *verbatim], words)
    for name in columns.names:
        check_column(path, frame, name, "which the estimator reads")
    return frame


def as_input(path: Path, frame: pd.DataFrame, columns: Columns, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """The columns with the types that the estimator was fitted on, or else with the types of `like`."""
    typed = {}
    for at, name in enumerate(columns.names):
        series = frame[name]
        witness = columns.witnesses.get(at)
        is_told = witness is not None and (witness.is_text or witness.categories or witness.is_choice)
        if not is_told and name not in columns.as_written:
            check_numbers(path, series)
            check_whole_numbers(path, series)
        typed[name] = _typed(path, series, witness, None if like is None else like[name])
    return pd.DataFrame(typed)


def handed_over(table: pd.DataFrame, container: str) -> Any:
    """The table as `predict` takes it."""
    if container == "series":
        return table.iloc[:, 0]
    if container == "frame":
        return table
    are_numbers = all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes)
    has_bools = any(pd.api.types.is_bool_dtype(dtype) for dtype in table.dtypes)
    return table.to_numpy(dtype=np.float64, na_value=np.nan) if are_numbers and has_bools else table.to_numpy()


# --- Columns ----------------------------------------------------------------------------------------------------------
def _named(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    # LightGBM writes underscores for the spaces in a name.
    written = {str(name).replace(" ", "_"): str(name) for name in frame.columns}
    chosen = [name if name in frame.columns else written.get(name, name) for name in names]
    for name in chosen:
        check_column(path, frame, name, "which the estimator reads")
    return chosen


def _targets(
    path: Path, frame: pd.DataFrame, chosen: Sequence[str] | None, task: str, target: str | None
) -> tuple[str, ...]:
    if target is not None:
        names = (target,) if target in frame.columns else tuple(name.strip() for name in target.split(","))
        for name in names:
            check_column(path, frame, name, "which --target names")
            if chosen and name in chosen:
                raise CannotRegister(
                    f"--target {name}: the estimator reads this column itself, so it cannot be the target."
                )
        return names
    if task in _NO_TARGET:
        return ()
    left = [str(name) for name in frame.columns if chosen is not None and name not in chosen]
    if len(left) == 1:
        return (left[0],)
    offered = ", ".join(left or map(str, frame.columns))
    raise CannotRegister(f"{path}: say with --target which column is predicted: one of {offered}.")


def _counted(path: Path, rest: list[str], count: int | None) -> list[str]:
    if count is not None and count != len(rest):
        raise CannotRegister(
            f"The estimator was fitted on {count} columns without names, and {path} has {len(rest)} beside the target "
            f"({', '.join(rest[:12])}): remove the columns that it does not read."
        )
    return rest


def _text_column(path: Path, frame: pd.DataFrame, rest: list[str]) -> str:
    texts = [name for name in rest if not pd.api.types.is_numeric_dtype(frame[name].dtype)]
    if len(rest) == 1 or len(texts) == 1:
        return (texts or rest)[0]
    raise CannotRegister(
        f"The estimator reads one column of texts, and {path} has {len(texts)} beside the target "
        f"({', '.join(texts or rest)}): keep the one that it reads."
    )


def _is_complete(one: Witness) -> bool:
    return bool(one.categories) and not one.needs_category_dtype


def _holds_texts(series: pd.Series) -> bool:
    return any(isinstance(value, str) for value in series.astype(object))


def _are_texts(one: Witness) -> bool:
    return bool(one.categories) and all(isinstance(value, str) for value in one.categories or ())


# --- Types ------------------------------------------------------------------------------------------------------------
def _typed(path: Path, series: pd.Series, witness: Witness | None, like: pd.Series | None) -> pd.Series:
    series = _yes_no(series, witness)
    if witness is not None and witness.needs_category_dtype:
        return _as_category(path, series, witness, like)
    if witness is not None and (witness.writes_none or witness.writes_empty):
        column = series.astype(object)
        return column.where(~column.map(is_missing), None if witness.writes_none else "")
    if like is not None and series.dtype != like.dtype:
        return _as(path, series, like.dtype)
    return series


def _yes_no(series: pd.Series, witness: Witness | None) -> pd.Series:
    """A column of true and false as the estimator knows it: 0 and 1 as bools, and bools with gaps as numbers."""
    if witness is not None and witness.is_yes_no and series.isin([0, 1]).sum() == series.notna().sum():
        return series.map(bool, na_action="ignore")
    is_open = witness is None or (witness.categories is None and not witness.is_choice)
    if is_open and series.dtype == object and series.hasnans and holds_yes_no(series):
        return series.astype(np.float64)  # what a library of numbers makes of them
    return series


def holds_yes_no(series: pd.Series) -> bool:
    """Whether the values, of which there are some, are true and false."""
    present = series.dropna()
    return len(present) > 0 and bool(present.map(lambda value: isinstance(value, bool | np.bool_)).all())


def _as_category(path: Path, series: pd.Series, witness: Witness, like: pd.Series | None) -> pd.Series:
    dtype = _category_dtype(series, witness, like)
    unknown = np.flatnonzero(series.notna() & ~series.isin(dtype.categories))
    if len(unknown):
        row = int(unknown[0])
        raise CannotRegister(
            f"{place(path, row)}: column {series.name!r} is {series.iloc[row]!r}, which {witness.source} has never "
            f"seen: correct it, or fit again with it."
        )
    return pd.Series(pd.Categorical(series, dtype=dtype), index=series.index, name=series.name)


def _category_dtype(series: pd.Series, witness: Witness, like: pd.Series | None) -> pd.CategoricalDtype:
    """The categories in the estimator's order; only the data tells whether they were ordered."""
    if like is not None and isinstance(like.dtype, pd.CategoricalDtype):
        return like.dtype
    ordered = isinstance(series.dtype, pd.CategoricalDtype) and bool(series.dtype.ordered)
    if witness.categories:
        is_yes_no = holds_yes_no(series.astype(object)) and {*witness.categories} <= {0, 1}
        known = [bool(value) for value in witness.categories] if is_yes_no else [*witness.categories]
        return pd.CategoricalDtype(pd.Index(known), ordered)
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.dtype
    return pd.CategoricalDtype(pd.Index(sorted(series.dropna().unique().tolist())))


def _as(path: Path, series: pd.Series, dtype: Any) -> pd.Series:
    try:
        converted = series.astype(dtype)
    except (TypeError, ValueError):
        # Numbers with a gap are kept, although the training data has no gap. A text among numbers is an error.
        if pd.api.types.is_numeric_dtype(series.dtype):
            return series
        raise CannotRegister(
            f"{path}: column {series.name!r} holds {series.dtype}, and {dtype} in the file of --data: give it one type."
        ) from None
    return series if _loses_numbers(series, converted) else converted


def _loses_numbers(series: pd.Series, converted: pd.Series) -> bool:
    """Whether a conversion changed a number: pandas makes true of a gap, and 1 of 1.5."""
    if not all(pd.api.types.is_numeric_dtype(one.dtype) for one in (series, converted)):
        return False
    return not np.array_equal(*(one.to_numpy(dtype=np.float64, na_value=np.nan) for one in (series, converted)))
