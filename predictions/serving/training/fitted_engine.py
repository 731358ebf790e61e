"""Makes the engine of a fitted estimator: checks the task and the columns, finds the classes and the data types."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from predictions.serving.artifacts.description import Description
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.registration import CannotRegister, Split
from predictions.serving.schema.input_schema import InputSchema
from predictions.serving.schema.signature import Signature
from predictions.serving.training.fitted_columns import are_numbers_only, own_names
from predictions.serving.training.input_types import default_schema, read_schema, with_missing_of
from predictions.serving.training.proof import said
from predictions.serving.training.targets import check_task, classes_of, classes_of_targets, labels_of


def engine_of(
    description: Description, estimator: Any, training: Split | None, held_out: Split | None
) -> SklearnEngine:
    """The engine of an estimator, as it will serve rows of a model.

    Raises:
        CannotRegister: the estimator does not fit the description, or cannot answer its own data.
    """
    check_task(description, estimator)
    _check_columns(description.signature, estimator)
    schema = _schema(description.signature, estimator, training, held_out)
    answered: Sequence[Any] = []
    if description.task == "clusters" and (data := training or held_out):
        answered = _answered(estimator, data.x)
    classes = classes_of(description, estimator, answered)
    labels_of(description.task, description.target, classes)
    targets = classes_of_targets(description, estimator)
    return SklearnEngine(estimator, description.signature, classes, schema, targets=targets)


def _check_columns(signature: Signature, estimator: Any) -> None:
    # A CatBoost estimator that was loaded from a file reports 0.
    count = getattr(estimator, "n_features_in_", 0) or len(signature.names)
    if count != len(signature.names):
        raise CannotRegister(f"The estimator takes {count} features, model.toml describes {len(signature.names)}.")
    names = own_names(estimator)
    if not names or are_numbers_only(names):
        return
    # LightGBM writes underscores for the spaces in a name.
    if tuple(names) not in (signature.names, tuple(name.replace(" ", "_") for name in signature.names)):
        raise CannotRegister(f"Features must be described in the estimator's order: {', '.join(names)}.")


def _schema(signature: Signature, estimator: Any, training: Split | None, held_out: Split | None) -> InputSchema:
    if training is None and held_out is None:
        return default_schema(signature, frame=hasattr(estimator, "feature_names_in_"))
    unseen = read_schema("held-out", held_out.x, signature) if held_out else None
    if training is None:
        assert unseen is not None  # noqa: S101  # one of the two is given
        return unseen
    seen = read_schema("training", training.x, signature)
    if held_out is None or unseen is None:
        return seen
    return with_missing_of(seen, unseen, seen=training.x)


def _answered(estimator: Any, x: Any) -> list[Any]:
    try:
        found: list[Any] = np.unique(np.asarray(estimator.predict(x))).tolist()
    except Exception as error:  # an estimator may raise anything
        raise CannotRegister(f"The estimator fails on its own data: {said(error)}.") from error
    return found
