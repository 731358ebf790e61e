"""What can go wrong with a prediction. Each error carries its own outcome: a stable code, whether
asking again can help, and a sentence that is safe to show. What is for logs and analysts goes in
the exception's text and never reaches a user."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct in a row. `feature` is None when it concerns the row as a whole."""

    feature: str | None
    code: str
    message: str


class ForetellError(Exception):
    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    sentence: ClassVar[str]


class InvalidInput(ForetellError):
    """The row cannot be answered as it stands; `problems` names everything wrong with it at once."""

    code = "invalid_input"
    sentence = "Some values need another look. Correct them and ask again."

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.feature or 'row'}: {p.code}" for p in problems))
        self.problems = problems


class ModelUnavailable(ForetellError):
    """The version cannot serve here and now; `reason` tells analysts what differed and the remedy, in our words."""

    code = "model_unavailable"
    retryable = True
    sentence = "This model cannot answer at the moment. Your values are kept; try again in a few minutes."

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class ModelFailure(ForetellError):
    code = "model_error"
    sentence = "The model could not give an answer for these values. Check them, or try other values."


class TimedOut(ForetellError):
    code = "timeout"
    retryable = True
    sentence = "The prediction took longer than it may. Try again; if it happens again, tell the people who run this."


class WorkerLost(ForetellError):
    code = "worker_lost"
    retryable = True
    sentence = "The prediction was interrupted more than once and was given up. Try again."


class QueueFull(ForetellError):
    code = "queue_full"
    retryable = True
    sentence = "Too many predictions are waiting at the moment. Try again shortly."

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"room in about {retry_after} s")
        self.retry_after = retry_after


ERRORS: dict[str, type[ForetellError]] = {
    error.code: error for error in (InvalidInput, ModelUnavailable, ModelFailure, TimedOut, WorkerLost, QueueFull)
}
