"""A client of Foretell's JSON API in one file. It needs httpx. Copy the file into your project.

    with Client("http://127.0.0.1:8000") as foretell:
        prediction = foretell.predict("iris", [5.1, 3.5, 1.4, 0.2])
        print(prediction.output)

A request that is repeated after a lost connection carries the same Idempotency-Key, so no row is predicted twice.
"""

import json
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

Features = Mapping[str, Any] | Sequence[Any]

# Temporary refusals: the server accepted nothing, and a repetition may succeed.
RETRY_STATUSES = frozenset({429, 502, 503, 504})
FINISHED = frozenset({"succeeded", "failed", "canceled", "expired"})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


# --- Results --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Classification:
    """`prediction_set` holds the labels that cannot be ruled out, with the stated coverage."""

    label: str
    probabilities: dict[str, float] | None
    prediction_set: list[str] | None
    coverage: float | None


@dataclass(frozen=True)
class Regression:
    """`interval` holds the true value with the stated coverage."""

    value: float
    unit: str | None
    interval: tuple[float, float] | None
    coverage: float | None


@dataclass(frozen=True)
class Advice:
    """A remark on a valid value that differs from the training data."""

    feature: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    retryable: bool


@dataclass(frozen=True)
class Prediction:
    """One prediction as the server last described it. `output` is set once `status` is "succeeded"."""

    id: str
    model: str
    version: int
    status: str
    features: dict[str, Any]
    output: Classification | Regression | None
    advice: list[Advice]
    error: Failure | None
    retry_after: float | None
    page: str

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


@dataclass(frozen=True)
class Model:
    """`version` is the number of the version that serves, or None."""

    name: str
    title: str
    task: str
    version: int | None


# --- Errors ---------------------------------------------------------------------------------------------------------
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


# --- The client -----------------------------------------------------------------------------------------------------
class Client:
    """A client of one Foretell server. Threads may share it.

    Args:
        base_url: the address of the server, for example https://foretell.example.org.
        token: sent as `Authorization: Bearer …`. Not needed if predictions are public.
        timeout: seconds for one response of the server, in addition to the `wait` of a call.
        patience: seconds during which a request is repeated after a lost connection or a temporary refusal. 0: never.
        transport: a transport of httpx other than the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        timeout: float = 10.0,
        patience: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        self._http = httpx.Client(base_url=f"{base_url.rstrip('/')}/api/v1/", headers=headers, transport=transport)
        self._timeout = timeout
        self._patience = patience

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def predict(self, model: str, features: Features, wait: float = 5.0, within: float = 60.0) -> Prediction:
        """Predict one row, and return the succeeded prediction.

        Args:
            features: values by name, or in the order of the signature.
            wait: seconds for which the server may hold the request. After that, the client polls.
            within: seconds for the whole call.

        Raises:
            Refused: the server did not accept the request; `problems` names every invalid value.
            NoAnswer: the prediction failed, expired or was canceled.
            NotFinished: the prediction did not finish within `within` seconds.
            Unreachable: the server cannot be reached.
        """
        end = time.monotonic() + within
        prediction = self.submit(model, features, wait=wait)
        while not prediction.is_finished:
            pause = max(prediction.retry_after or 0.0, FIRST_PAUSE)
            if time.monotonic() + pause > end:
                raise NotFinished(prediction)
            time.sleep(pause)
            prediction = self.result(prediction.id)
        if prediction.status != "succeeded":
            raise NoAnswer(prediction)
        return prediction

    def submit(
        self, model: str, features: Features, wait: float = 0.0, idempotency_key: str | None = None
    ) -> Prediction:
        """Submit one row. Returns the prediction in its state after at most `wait` seconds.

        With your own `idempotency_key` you can repeat the call safely, even after a restart of your process.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        if wait > 0:
            headers["Prefer"] = f"wait={wait:g}"
        # JSON has no NaN: this raises a ValueError before anything is sent.
        body = json.dumps({"features": _row(features)}, default=_as_json, allow_nan=False)
        response = self._send("POST", f"models/{quote(model, safe='')}/predictions/", wait, headers, body)
        return _prediction(response)

    def result(self, prediction_id: str) -> Prediction:
        """The prediction in its current state."""
        return _prediction(self._send("GET", f"predictions/{quote(prediction_id, safe='')}/"))

    def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction. Raises Refused (409) if it has already ended in another state."""
        try:
            return _prediction(self._send("POST", f"predictions/{quote(prediction_id, safe='')}/cancel/"))
        except Refused as refused:
            # An earlier attempt may have canceled it although its response was lost.
            if refused.status == 409 and (prediction := self.result(prediction_id)).status == "canceled":
                return prediction
            raise

    def models(self) -> list[Model]:
        listed = self._send("GET", "models/").json()["results"]
        return [Model(entry["name"], entry["title"], entry["task"], entry["version"]) for entry in listed]

    def _send(
        self,
        method: str,
        path: str,
        wait: float = 0.0,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> httpx.Response:
        """Send a request, and repeat it on temporary failures with exponential backoff. Obeys Retry-After."""
        end = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            failure: Unreachable | Refused
            try:
                return self._send_once(method, path, wait, headers, body)
            except Unreachable as error:
                failure, minimum = error, 0.0
            except Refused as error:
                if error.status not in RETRY_STATUSES:
                    raise
                failure, minimum = error, error.retry_after or 0.0
            this_pause = max(pause * random.uniform(0.5, 1.0), minimum)  # noqa: S311 - jitter, not a secret
            if time.monotonic() + this_pause > end:
                raise failure
            time.sleep(this_pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _send_once(
        self, method: str, path: str, wait: float, headers: Mapping[str, str] | None, body: str | None
    ) -> httpx.Response:
        try:
            response = self._http.request(method, path, headers=headers, content=body, timeout=self._timeout + wait)
        except httpx.TransportError as error:
            raise Unreachable(error) from error
        if not response.is_success:
            raise Refused(response)
        return response


# --- Parsing --------------------------------------------------------------------------------------------------------
def _row(features: Features) -> dict[str, Any] | list[Any]:
    return dict(features) if isinstance(features, Mapping) else list(features)


def _as_json(value: Any) -> Any:
    """Numbers and arrays of numpy or pandas as Python numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _prediction(response: httpx.Response) -> Prediction:
    body = response.json()
    return Prediction(
        id=body["id"],
        model=body["model"],
        version=body["version"],
        status=body["status"],
        features=body["features"],
        output=_output(body["output"]),
        advice=[Advice(entry["feature"], entry["code"], entry["message"]) for entry in body["advice"]],
        error=_failure(body["error"]),
        retry_after=body["retry_after"],
        page=body["urls"]["page"],
    )


def _output(output: dict[str, Any] | None) -> Classification | Regression | None:
    if output is None:
        return None
    if output["kind"] == "classification":
        return Classification(output["label"], output["probabilities"], output["prediction_set"], output["coverage"])
    interval = (output["interval"][0], output["interval"][1]) if output["interval"] else None
    return Regression(output["value"], output["unit"], interval, output["coverage"])


def _failure(error: dict[str, Any] | None) -> Failure | None:
    return None if error is None else Failure(error["code"], error["message"], error["retryable"])


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
