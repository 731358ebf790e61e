"""Answers the last real inputs of a model by another version. Only commands and workers import this."""

import time
from collections.abc import Callable, Iterator, Sequence

from predictions.comparison.agreement import Pair
from predictions.comparison.answering import answer_again
from predictions.comparison.truths import NOTHING, told_of
from predictions.models import ModelVersion, Prediction, Source, State
from predictions.serving.engines.opening import Loaded
from predictions.serving.schema.errors import InvalidInput
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
        pairs += _answered(loaded, rows, version)
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
    rows = list(asked[: min(ROWS_A_CALL, last)])
    while rows:
        yield rows
        last -= len(rows)
        # By id, not by position: predictions that finish meanwhile move the others to later positions.
        rows = list(asked.filter(id__lt=rows[-1].id)[: min(ROWS_A_CALL, last)])


def _answered(loaded: Loaded, rows: Sequence[Prediction], version: ModelVersion) -> list[Pair]:
    started = time.perf_counter()
    outcomes = answer_again(loaded, rows)
    unfit = [isinstance(outcome.error, InvalidInput) for outcome in outcomes]
    milliseconds = (time.perf_counter() - started) * 1000 / max(len(rows) - sum(unfit), 1)
    told = told_of(rows, version)
    return [
        Pair(
            prediction=row.pk,
            values=dict(zip(row.version.signature.names, row.values, strict=True)),
            before=row.output or {},
            after=outcome.output,
            fits=not is_unfit,
            told=told.get(row.pk, NOTHING),
            milliseconds=milliseconds,
        )
        for row, outcome, is_unfit in zip(rows, outcomes, unfit, strict=True)
    ]
