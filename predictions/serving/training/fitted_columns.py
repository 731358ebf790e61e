"""The names and the number of the columns on which an estimator was fitted."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

# Attributes in which meta-estimators keep fitted estimators that see the same columns.
_INNER = ("best_estimator_", "regressor_", "estimator_", "estimators_", "calibrated_classifiers_", "estimator")
# What CatBoost and LightGBM call the columns of an array.
_NUMBERED = ("{}", "Column_{}")


def column_names(estimator: Any) -> list[str] | None:
    """The names of the columns on which the estimator was fitted; None if it was fitted without names."""
    found = (own_names(inner) for inner in outermost_first(estimator))
    return next((names for names in found if names), None)


def own_names(thing: Any) -> list[str] | None:
    """The names of the columns that one fitted step got, if it keeps them itself."""
    names = getattr(thing, "feature_names_in_", None)
    names = getattr(thing, "feature_names_", None) if names is None else names  # CatBoost's
    return None if names is None else [str(name) for name in names]


def are_numbers_only(names: Sequence[str]) -> bool:
    """Whether the names only count the columns, as some libraries name those of an array."""
    return any(all(name == word.format(at) for at, name in enumerate(names)) for word in _NUMBERED)


def column_count(estimator: Any) -> int | None:
    """The number of columns on which the estimator was fitted, if it is known."""
    counts = (getattr(inner, "n_features_in_", None) for inner in outermost_first(estimator))
    return next((int(count) for count in counts if count), None)


def outermost_first(estimator: Any) -> Iterator[Any]:
    """The estimator, then the inner estimators that receive its input first."""
    waiting = [estimator]
    while waiting:
        thing = waiting.pop(0)
        yield thing
        if isinstance(thing, Pipeline | FeatureUnion):
            steps = [step for _, step in (thing.steps if isinstance(thing, Pipeline) else thing.transformer_list)]
            waiting += [step for step in steps if not isinstance(step, str)][:1]
        elif not isinstance(thing, ColumnTransformer):
            waiting += inner_estimators(thing)[:1]


def inner_estimators(thing: Any) -> list[Any]:
    """The fitted estimators in a meta-estimator that see its columns."""
    for attribute in _INNER:
        held = getattr(thing, attribute, None)
        if held is None or (attribute == "estimator" and not hasattr(thing, "classes_")):
            continue
        return [one for one in np.asarray(held, dtype=object).ravel().tolist() if hasattr(one, "fit") or one is held]
    return []
