"""Reads facts about the columns from fitted XGBoost, LightGBM and CatBoost estimators, without importing these."""

import json
from collections.abc import Callable, Sequence
from itertools import combinations, islice, pairwise
from typing import Any

from predictions.serving.importing.column_witness import Witness

# Combinations of columns that may be ordered categories of LightGBM.
MOST_TRIED = 10_000


def booster_columns(thing: Any) -> dict[int, Witness]:
    """The facts by column position, for the scikit-learn class of a booster; empty for every other estimator."""
    package = type(thing).__module__.partition(".")[0]
    read = _READERS.get(package) or (_lightgbm if hasattr(thing, "booster_") else None)
    return read(thing) if read else {}


def _xgboost(thing: Any) -> dict[int, Witness]:
    booster = thing.get_booster()
    types = booster.feature_types or []
    remembered = _xgboost_categories(booster)
    return {
        place: Witness(
            type(thing).__name__,
            categories=remembered.get(place),
            is_choice=True,
            refuses_unseen=True,
            needs_category_dtype=True,
        )
        for place, kind in enumerate(types)
        if kind == "c"
    }


def _xgboost_categories(booster: Any) -> dict[int, tuple[Any, ...]]:
    """Categories by column, from the model as JSON, which has texts as offsets into bytes, and numbers as they are."""
    model = json.loads(bytes(booster.save_raw("json")))
    learner = model.get("learner", {}).get("gradient_booster", {})
    known = (learner.get("model") or learner.get("gbtree", {}).get("model", {})).get("cats", {}).get("enc", [])
    return {place: _unpacked(column) for place, column in enumerate(known) if column.get("values")}


def _unpacked(column: dict[str, Any]) -> tuple[Any, ...]:
    offsets, values = column.get("offsets"), column["values"]
    if not offsets:
        return tuple(values)
    content = bytes(value % 256 for value in values)
    pairs = pairwise(offsets)
    return tuple(content[start:end].decode() for start, end in pairs)


def _lightgbm(thing: Any) -> dict[int, Witness]:
    booster = thing.booster_
    params = booster.params
    places = params.get("categorical_column") or params.get("categorical_feature") or []
    known = booster.pandas_categorical or []
    if isinstance(places, str):
        return {}
    return {
        place: Witness(type(thing).__name__, categories=tuple(values), is_choice=True, needs_category_dtype=True)
        for place, values in zip(_lightgbm_places(booster, places, known), known, strict=False)
    }


def _lightgbm_places(booster: Any, unordered: Sequence[int], known: Sequence[Sequence[Any]]) -> list[int]:
    """The positions of the columns of dtype category, in which LightGBM keeps their categories; empty if unclear.

    It takes an ordered category for the number of its place, and does not say so. Its range then is 0 to that of the
    last category.
    """
    if len(known) == len(unordered):
        return sorted(unordered)
    names, ranges = booster.feature_name(), booster.dump_model(num_iteration=1)["feature_infos"]
    ends = [tuple(ranges.get(name, {}).get(end) for end in ("min_value", "max_value")) for name in names]
    others = [at for at in range(len(names)) if at not in unordered]
    tried = (sorted([*unordered, *some]) for some in combinations(others, max(0, len(known) - len(unordered))))
    fitting = [
        places
        for places in islice(tried, MOST_TRIED)
        if len(places) == len(known)
        and all(at in unordered or ends[at] == (0, len(said) - 1) for at, said in zip(places, known, strict=True))
    ]
    return fitting[0] if len(fitting) == 1 else []


def _catboost(thing: Any) -> dict[int, Witness]:
    name = type(thing).__name__
    choices = {place: Witness(name, is_choice=True) for place in thing.get_cat_feature_indices()}
    texts = {place: Witness(name, is_text=True) for place in thing.get_text_feature_indices()}
    return choices | texts


_READERS: dict[str, Callable[[Any], dict[int, Witness]]] = {
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "catboost": _catboost,
}
