"""Answers the last real inputs of a model by another version. Only commands and workers import this."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from predictions.comparison.agreement import Pair
from predictions.models import Feedback, ModelVersion, Prediction, Source, State
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Signature, Value
from predictions.worker import preload

ROWS_A_CALL = 256


def replay(version: ModelVersion, last: int, on_progress: Callable[[int], None] = lambda _: None) -> list[Pair]:
    """A pair for each of the `last` predictions of the model that another version answered, the newest first.

    Nothing is stored. A row that does not fit the signature of `version` has no second answer.

    Raises:
        ModelUnavailable: the version does not serve here.
    """
    loaded = preload.load(version.pk, version.sha256)
    pairs: list[Pair] = []
    for rows in _chunks(version, last):
        pairs += _answered(loaded, version.signature, rows)
        on_progress(len(pairs))
    return pairs


def _chunks(version: ModelVersion, last: int) -> Iterator[list[Prediction]]:
    asked = (
        Prediction.objects.filter(version__registered_model=version.registered_model_id, state=State.SUCCEEDED)
        .exclude(version=version)
        .exclude(source=Source.CANARY)
        .select_related("version")
        .order_by("-id")
    )
    for start in range(0, last, ROWS_A_CALL):
        if not (rows := list(asked[start : min(start + ROWS_A_CALL, last)])):
            return
        yield rows


def _answered(loaded: Loaded, signature: Signature, rows: Sequence[Prediction]) -> list[Pair]:
    cleaned = [_cleaned(row, signature) for row in rows]
    fitting = [values for values in cleaned if values is not None]
    started = time.perf_counter()
    answers = iter(predict(loaded, fitting))
    milliseconds = (time.perf_counter() - started) * 1000 / max(len(fitting), 1)
    truths = _truths(rows)
    return [
        Pair(
            prediction=row.pk,
            values=dict(zip(row.version.signature.names, row.values, strict=True)),
            before=row.output or {},
            after=None if values is None else next(answers).output,
            fits=values is not None,
            truth=truths.get(row.pk),
            milliseconds=milliseconds,
        )
        for row, values in zip(rows, cleaned, strict=True)
    ]


def _cleaned(row: Prediction, signature: Signature) -> list[Value] | None:
    named = dict(zip(row.version.signature.names, row.values, strict=True))
    try:
        return list(signature.clean({name: value for name, value in named.items() if value is not None}))
    except InvalidInput:
        return None


def _truths(rows: Sequence[Prediction]) -> dict[Any, Any]:
    """The true answers that people gave; the latest word counts."""
    given = Feedback.objects.filter(prediction__in=[row.pk for row in rows]).order_by("given_at")
    outputs = {row.pk: row.output or {} for row in rows}
    found = {}
    for feedback in given:
        truth = feedback.truth(outputs[feedback.prediction_id])
        if truth is not None:
            found[feedback.prediction_id] = truth
    return found
