"""The errors that the client raises."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from foretell_client.results import Failure, Job, Prediction


@dataclass(frozen=True)
class Problem:
    """One invalid value in a request; `pointer` is a JSON Pointer (RFC 6901) to it."""

    pointer: str
    code: str
    message: str


class ForetellError(Exception):
    """Base of all errors. `code` is stable; `message` is for people."""

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        details = "".join(f"\n  {problem.pointer}: {problem.message}" for problem in problems)
        super().__init__(f"{message} ({code}){details}")
        self.code = code
        self.message = message
        self.problems = list(problems)


class Unreachable(ForetellError):
    """The connection failed, and so did its repetitions."""

    def __init__(self, error: httpx.TransportError) -> None:
        super().__init__("unreachable", f"The server cannot be reached: {error or type(error).__name__}")


class Refused(ForetellError):
    """The server answered with an error. `retry_after` is in seconds, or None if the server does not give it."""

    def __init__(self, response: httpx.Response) -> None:
        details = _problem_details(response)
        problems = [Problem(entry["pointer"], entry["code"], entry["message"]) for entry in details.get("errors", [])]
        message = details.get("detail") or f"The server answered {response.status_code} {response.reason_phrase}."
        super().__init__(details.get("code", "unexpected"), message, problems)
        self.status = response.status_code
        self.retry_after = _retry_after(response)


class NoAnswer(ForetellError):
    """The prediction failed, expired or was canceled."""

    def __init__(self, prediction: Prediction) -> None:
        failure = prediction.error or Failure(prediction.status, f"The prediction was {prediction.status}.", False)
        super().__init__(failure.code, failure.message)
        self.prediction = prediction


class NotFinished(ForetellError):
    """The prediction did not finish in time. The server goes on with it: `result(prediction.id)` reads it later."""

    def __init__(self, prediction: Prediction) -> None:
        super().__init__("not_finished", f"Prediction {prediction.id} is still {prediction.status}.")
        self.prediction = prediction


class JobEnded(ForetellError):
    """The job of a file failed, expired or was canceled before all rows were done."""

    def __init__(self, job: Job) -> None:
        failure = job.error or Failure(job.status, f"The job was {job.status} after {job.done} rows.", False)
        super().__init__(failure.code, failure.message)
        self.job = job


class JobNotFinished(ForetellError):
    """The job did not finish in time. The server goes on with it: `job(job.id)` reads it later."""

    def __init__(self, job: Job) -> None:
        super().__init__("not_finished", f"Job {job.id} is still {job.status}, with {job.done} rows done.")
        self.job = job


def _problem_details(response: httpx.Response) -> dict[str, Any]:
    """The body as problem details (RFC 9457); empty if a proxy answered in another format."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    if value.isdigit():
        return float(value)
    try:
        return max((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
