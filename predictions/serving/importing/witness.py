"""Reads facts about each input column from a fitted estimator itself: categories, texts, missing values.

The estimator is a better source than the data: an encoder knows every category that it takes, and a booster knows the
order in which it numbered the categories.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline

from predictions.serving.importing.booster_witness import booster_columns
from predictions.serving.importing.column_witness import Witness
from predictions.serving.training.fitted_columns import inner_estimators, outermost_first
from predictions.serving.training.input_types import is_missing

_VECTORIZERS = (CountVectorizer, HashingVectorizer)

# For each output column of a step: the position of the input column that it holds; None if it holds other values.
Places = list[int | None]


def takes_one_text(estimator: Any) -> bool:
    """Whether the estimator's input is one column of texts, and not a table."""
    return any(isinstance(inner, _VECTORIZERS) for inner in outermost_first(estimator))


def witnesses(estimator: Any, width: int) -> dict[int, Witness]:
    """The facts about each of the columns, by its position."""
    found: dict[int, Witness] = {}
    _visit(estimator, list(range(width)), found)
    return found


def _visit(thing: Any, places: Places, found: dict[int, Witness]) -> Places | None:
    """Records the facts of a fitted step. Returns the input column of each output column, None if they are unknown."""
    if isinstance(thing, str) or thing is None:
        return [] if thing == "drop" else places
    if (getattr(thing, "n_features_in_", 0) or len(places)) != len(places):
        return None  # an earlier step drops or adds columns without telling which
    if isinstance(thing, Pipeline):
        return _visit_steps(thing, places, found)
    if isinstance(thing, ColumnTransformer):
        return _visit_columns(thing, places, found)
    if isinstance(thing, FeatureUnion):
        for _, inner in thing.transformer_list:
            _visit(inner, places, found)
        return None
    for place, witness in _own(thing, len(places)).items():
        _record(found, places[place], witness)
    for inner in inner_estimators(thing):
        _visit(inner, places, found)
    return places if _keeps_columns(thing) else None


def _visit_steps(thing: Pipeline, places: Places, found: dict[int, Witness]) -> Places | None:
    passed: Places | None = places
    for _, step in thing.steps:
        if passed is None:
            break
        passed = _visit(step, passed, found)
    return passed


def _visit_columns(thing: ColumnTransformer, places: Places, found: dict[int, Witness]) -> Places:
    # A step before this one may have put the columns into another order, so the names are those that it got itself.
    names = [str(name) for name in getattr(thing, "feature_names_in_", range(len(places)))]
    total = max((part.stop for part in thing.output_indices_.values()), default=0)
    outputs: Places = [None] * total
    for name, step, columns in thing.transformers_:
        passed = _visit(step, [places[place] for place in _resolved(columns, names)], found)
        part = thing.output_indices_.get(name, slice(0, 0))
        if passed is not None and len(passed) == part.stop - part.start:
            outputs[part] = passed
    return outputs


def _resolved(columns: Any, names: Sequence[str]) -> list[int]:
    """Positions of the columns that a ColumnTransformer was given: names, numbers, a slice or a mask."""
    if isinstance(columns, str):
        columns = [columns]
    if isinstance(columns, slice):
        ends = [names.index(end) if isinstance(end, str) else end for end in (columns.start, columns.stop)]
        inclusive = isinstance(columns.stop, str) and ends[1] is not None
        return list(range(len(names)))[slice(ends[0], ends[1] + 1 if inclusive else ends[1], columns.step)]
    chosen = np.atleast_1d(np.asarray(columns, dtype=object)).tolist()
    if chosen and all(isinstance(one, bool | np.bool_) for one in chosen):
        return [place for place, is_chosen in enumerate(chosen) if is_chosen]
    known = {name: place for place, name in enumerate(names)}
    return [
        known[one] if isinstance(one, str) else int(one) % len(names)
        for one in chosen
        if one in known or not isinstance(one, str)
    ]


def _keeps_columns(thing: Any) -> bool:
    """Whether the output columns are the input columns. Imputers keep them too, unless they add indicator columns."""
    if hasattr(thing, "categories_") or hasattr(thing, "vocabulary_"):
        return False
    if hasattr(thing, "statistics_") or hasattr(thing, "initial_imputer_"):
        return not getattr(thing, "add_indicator", False)
    return isinstance(thing, OneToOneFeatureMixin)


def _record(found: dict[int, Witness], place: int | None, witness: Witness) -> None:
    if place is not None:
        found[place] = found[place].joined(witness) if place in found else witness


# --- Steps ------------------------------------------------------------------------------------------------------------
def _own(thing: Any, width: int) -> dict[int, Witness]:
    """The facts that one fitted step gives, by the position in its own input."""
    name = type(thing).__name__
    if isinstance(thing, _VECTORIZERS):
        return {0: Witness(name, is_text=True, writes_empty=True)}
    if hasattr(thing, "categories_"):
        return _of_encoder(thing, name)
    if hasattr(thing, "statistics_") or hasattr(thing, "initial_imputer_"):
        fill = getattr(thing, "fill_value", None) if getattr(thing, "strategy", "") == "constant" else None
        takes = is_missing(getattr(thing, "missing_values", None))  # a marker such as -1 is a value to us
        return {place: Witness(name, takes_missing=takes, fill=fill) for place in range(width)}
    if getattr(thing, "is_categorical_", None) is not None:
        return _of_histogram_boosting(thing, name)
    return booster_columns(thing)


def _of_encoder(thing: Any, name: str) -> dict[int, Witness]:
    refuses = getattr(thing, "handle_unknown", "error") == "error"
    return {place: _categories(name, values, refuses=refuses) for place, values in enumerate(thing.categories_)}


def _categories(name: str, values: Any, *, refuses: bool) -> Witness:
    listed = np.asarray(values, dtype=object).tolist()
    # Fitted on data whose gaps were filled with "": in a file, the empty cell is both.
    writes_empty = "" in listed and not any(is_missing(value) for value in listed)
    present = tuple(value for value in listed if not is_missing(value) and not (writes_empty and value == ""))
    return Witness(
        name,
        categories=present,
        takes_missing=len(present) < len(listed),
        writes_none=any(value is None for value in listed),
        writes_empty=writes_empty,
        refuses_unseen=refuses,
    )


def _of_histogram_boosting(thing: Any, name: str) -> dict[int, Witness]:
    """The facts of histogram boosting, whose preprocessor keeps the categories of each categorical column in order."""
    preprocessor = getattr(thing, "_preprocessor", None)
    if preprocessor is None:
        return {}
    remembered = preprocessor.named_transformers_["encoder"].categories_
    places = np.flatnonzero(thing.is_categorical_).tolist()
    is_dtype = isinstance(thing.categorical_features, str)
    return {
        place: Witness(
            name,
            categories=tuple(value for value in np.asarray(values, dtype=object).tolist() if not is_missing(value)),
            needs_category_dtype=is_dtype,
        )
        for place, values in zip(places, remembered, strict=True)
    }
