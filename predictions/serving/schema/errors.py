"""All errors that users see, as one tree. Each class has a stable code, whether a repeated request can succeed, and a
sentence that is safe to show. The exception's text is for logs and analysts and never reaches a user.

This module does not know HTTP: each protocol maps the classes to its own status codes in one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from predictions.serving.schema.sentences import english


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to correct in an input. `feature` is None when it concerns the row as a whole.

    `pointer` names the place where the input is not a row of features, as a JSON Pointer (RFC 6901).
    """

    feature: str | None
    code: str
    message: str
    pointer: str | None = None


class ForetellError(Exception):
    """`retry_after` is the number of seconds after which a repeated request can succeed, where that is known."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    sentence: str
    retry_after: int | None = None


class SpecificError(ForetellError):
    """An error with a sentence for each case: the argument `sentence` replaces the sentence of the class."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.sentence)
        if sentence:
            self.sentence = sentence


# --- The row or the model: a prediction may end with these ------------------------------------------------------------
class InvalidInput(ForetellError):
    """The input is not valid. `problems` lists everything that is wrong with it."""

    code = "invalid_input"
    sentence = english("Some values need another look. Correct them and ask again.")

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{p.feature or 'row'}: {p.code}" for p in problems))
        self.problems = list(problems)


class ModelUnavailable(ForetellError):
    """The version cannot serve in this process at present. `reason` tells analysts the cause and the remedy."""

    code = "model_unavailable"
    retryable = True
    retry_after = 5
    sentence = english("This model cannot answer at the moment. Your values are kept; try again in a few minutes.")

    def __init__(self, reason: str = "", sentence: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        if sentence:
            self.sentence = sentence


class ModelFailure(ForetellError):
    code = "model_error"
    sentence = english("The model could not give an answer for these values. Check them, or try other values.")


class TimedOut(ForetellError):
    code = "timeout"
    retryable = True
    sentence = english(
        "The prediction took longer than it may. Try again; if it happens again, tell the people who run this."
    )


class WorkerLost(ForetellError):
    code = "worker_lost"
    retryable = True
    sentence = english("The prediction was interrupted more than once and was given up. Try again.")


class QueueFull(ForetellError):
    code = "queue_full"
    retryable = True
    sentence = english("Too many predictions are waiting at the moment. Try again shortly.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"room in about {retry_after} s")
        self.retry_after = retry_after


# The errors that a stored prediction can carry, by code.
ERRORS: dict[str, type[ForetellError]] = {
    error.code: error for error in (InvalidInput, ModelUnavailable, ModelFailure, TimedOut, WorkerLost, QueueFull)
}


# --- The object asked for, and the caller -----------------------------------------------------------------------------
class NotFound(SpecificError):
    """The object does not exist, or the caller may not see it. No response tells the two cases apart."""

    code = "not_found"
    sentence = english("There is no such model or prediction, or it is not yours.")


class Removed(ForetellError):
    code = "removed"
    sentence = english("The prediction's data was removed: its time was over, or its owner removed it.")


class NotAuthenticated(ForetellError):
    code = "not_authenticated"
    sentence = english("Sign in, or send a token: Authorization: Bearer …")


class InvalidToken(SpecificError):
    code = "authentication_failed"
    sentence = english(
        "The token is not valid: it is mistyped, expired or revoked. Make a new one at /accounts/tokens/."
    )


class Forbidden(ForetellError):
    code = "permission_denied"
    sentence = english("You can see this prediction, but only the person who asked for it can change it.")


class OutOfScope(SpecificError):
    """The token lacks the scope that the request needs."""

    code = "insufficient_scope"
    sentence = english("This token may not do that.")


# --- The state of the object ------------------------------------------------------------------------------------------
class CannotCancel(SpecificError):
    code = "not_cancelable"
    sentence = english("The prediction has already ended; there is nothing to cancel.")


class CannotChange(SpecificError):
    """The serving versions of a model cannot be changed in this way; the sentence says why, and the remedy."""

    code = "not_changeable"
    sentence = english("What serves was not changed.")


class NoAnswer(ForetellError):
    code = "no_answer"
    sentence = english("Only a prediction that succeeded has an answer to give feedback on.")


class TooManyQuestions(ForetellError):
    """Other values were asked about one answer as often as is kept of each answer."""

    code = "too_many_questions"
    sentence = english("Too many other values were asked about this answer. Predict a row with your values instead.")


class KeyReused(ForetellError):
    code = "idempotency_key_reused"
    sentence = english("This Idempotency-Key belongs to another request body.")


class TooMany(ForetellError):
    """The caller submits more predictions than `SUBMIT_RATE` allows."""

    code = "too_many"
    retryable = True
    sentence = english("Too many predictions asked for in a short time. Try again shortly.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after


class TooManyRows(SpecificError):
    """The request has more rows than any request may have."""

    code = "too_many_rows"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"A request may have {most} {'row' if most == 1 else 'rows'} at most. Send fewer in one request."
        )


class TooManyFiles(SpecificError):
    """The caller already has `BATCH_JOBS_PER_CALLER` unfinished files."""

    code = "too_many_files"
    retryable = True
    retry_after = 30
    sentence = english("Too many of your files are being scored. Wait until one has ended, or cancel one.")


class NotCorrectable(SpecificError):
    code = "not_correctable"
    sentence = english("Only a file that is finished, and has bad rows, takes corrections.")


class NoResults(SpecificError):
    code = "no_results"
    sentence = english("There is no result yet.")


class Canceled(SpecificError):
    code = "canceled"
    sentence = english("It was canceled.")


class NotInTime(SpecificError):
    """The rows were accepted and will be answered, but not within this request. `addresses` are their URLs."""

    code = "not_in_time"
    retryable = True

    def __init__(self, seconds: float, addresses: Sequence[str]) -> None:
        super().__init__(
            f"Not finished within {seconds:g} s. The work goes on: the predictions can be read at the addresses given."
        )
        self.addresses = list(addresses)


class DatabaseAway(ForetellError):
    code = "database_away"
    retryable = True
    retry_after = 5
    sentence = english("The database does not answer; nothing was kept.")


# --- The server -------------------------------------------------------------------------------------------------------
class NotInstalled(SpecificError):
    """An optional part whose packages are missing; the sentence says how to install them."""

    code = "not_installed"
    sentence = english("This is not installed here.")


class InternalError(ForetellError):
    """An error in Foretell itself. The log has the details."""

    code = "internal_error"
    sentence = english("Something went wrong here. It has been noted.")


def all_errors(base: type[ForetellError] = ForetellError) -> list[type[ForetellError]]:
    """Every error class that has a code, of all modules imported so far. A web process imports all of them."""
    own = [base] if "code" in vars(base) else []
    return own + [error for child in base.__subclasses__() for error in all_errors(child)]
