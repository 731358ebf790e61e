"""Ask for several rows and wait for all of them: the same row, queue and guarantees as everywhere."""

import uuid
from collections.abc import Callable, Sequence

from django.conf import settings

from predictions.api.inference_protocol.errors import NoPlaceToWait, NotInTime, RowFailed
from predictions.models import ModelVersion, Prediction, Source, State
from predictions.models.ids import new_prediction_id
from predictions.queue import completions
from predictions.serving.schema.signature import Value
from predictions.use_cases import submit
from predictions.use_cases.submit import Caller

# The protocol waits by nature, but no client waits for ever.
LONGEST_WAIT = 30.0


def infer(
    version: ModelVersion, rows: Sequence[Sequence[Value]], caller: Caller, address: Callable[[uuid.UUID], str]
) -> list[Prediction]:
    """The succeeded predictions of cleaned rows, in order. `address` tells where one can be read.

    Raises:
        NoPlaceToWait: nothing was accepted.
        NotInTime: all rows were accepted and will end.
        RowFailed: all rows have ended, and not all have an answer.
        ModelUnavailable, TooMany, QueueFull: nothing was accepted.
    """
    ids = [new_prediction_id() for _ in rows]
    seconds = min(settings.WAIT_MAX, LONGEST_WAIT)
    with completions.waiters.expecting_any(ids, seconds) as place:
        if place is None:
            raise NoPlaceToWait
        submit.submit_together(version, rows, caller, Source.API, ids)
        answers = _Answers(ids)
        if not completions.wait(place, answers.have_ended, seconds):
            raise NotInTime(seconds, [address(prediction_id) for prediction_id in ids])
    return answers.succeeded()


class _Answers:
    """The predictions of one request, as they were when last looked at."""

    def __init__(self, ids: Sequence[uuid.UUID]) -> None:
        self._ids = ids
        self._seen: dict[uuid.UUID, Prediction] = {}

    def have_ended(self) -> bool:
        """Look again, in one query."""
        self._seen = Prediction.objects.only("state", "output", "error_code").in_bulk(self._ids)
        return all(prediction.is_terminal for prediction in self._seen.values())

    def succeeded(self) -> list[Prediction]:
        answers = [self._seen[prediction_id] for prediction_id in self._ids]
        failed = [row for row, answer in enumerate(answers) if answer.state != State.SUCCEEDED]
        if failed:
            raise RowFailed(failed[0], answers[failed[0]], len(failed) - 1)
        return answers
