"""A client of Foretell's JSON API in one file. It needs httpx; copy it to wherever you need it.

    with Client("http://127.0.0.1:8000") as foretell:
        prediction = foretell.predict("iris", [5.1, 3.5, 1.4, 0.2])
        print(prediction.output)

What is sent again after a lost connection carries the same Idempotency-Key, so nothing is predicted twice.
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

# "Not now" rather than "no": nothing was accepted, and asking again may help.
NOT_NOW = frozenset({429, 502, 503, 504})
FINISHED = frozenset({"succeeded", "failed", "canceled", "expired"})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


# --- What comes back --------------------------------------------------------------------------------------------------
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
    """A value that is allowed, but unlike what the model learned from."""

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
    """One prediction as the server last described it. `output` is there once `status` is "succeeded"."""

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
    """`version` is the number of the one that serves, if one does."""

    name: str
    title: str
    task: str
    version: int | None


# --- What can go wrong ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Problem:
    """One thing to correct in a request; `pointer` is a JSON Pointer (RFC 6901) to it."""

    pointer: str
    code: str
    message: str


class ForetellError(Exception):
    """`code` is stable, `message` is for people."""

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        details = "".join(f"\n  {problem.pointer}: {problem.message}" for problem in problems)
        super().__init__(f"{message} ({code}){details}")
        self.code = code
        self.message = message
        self.problems = list(problems)


class Unreachable(ForetellError):
    """The connection failed, also when it was tried again."""

    def __init__(self, error: httpx.TransportError) -> None:
        super().__init__("unreachable", f"The server cannot be reached: {error or type(error).__name__}")


class Refused(ForetellError):
    """The server answered with an error; `retry_after` is in seconds, if it says so."""

    def __init__(self, response: httpx.Response) -> None:
        said = _problem_details(response)
        problems = [Problem(entry["pointer"], entry["code"], entry["message"]) for entry in said.get("errors", [])]
        message = said.get("detail") or f"The server answered {response.status_code} {response.reason_phrase}."
        super().__init__(said.get("code", "unexpected"), message, problems)
        self.status = response.status_code
        self.retry_after = _retry_after(response)


class NoAnswer(ForetellError):
    """The prediction has ended without an answer: it failed, expired or was canceled."""

    def __init__(self, prediction: Prediction) -> None:
        failure = prediction.error or Failure(prediction.status, f"The prediction was {prediction.status}.", False)
        super().__init__(failure.code, failure.message)
        self.prediction = prediction


class NotFinished(ForetellError):
    """The time is over, the work goes on: `result(prediction.id)` reads the answer later."""

    def __init__(self, prediction: Prediction) -> None:
        super().__init__("not_finished", f"Prediction {prediction.id} is still {prediction.status}.")
        self.prediction = prediction


# --- The client -------------------------------------------------------------------------------------------------------
class Client:
    """Asks one Foretell server; may be shared by threads.

    Args:
        base_url: where its pages are, for example https://foretell.example.org.
        token: of `Authorization: Bearer …`; not needed where predictions are public.
        timeout: seconds for a single answer of the server, beyond what a call waits for by itself.
        patience: seconds for which a request is repeated that met a lost connection or "not now". 0: never repeated.
        transport: how to reach the server, if not by the network.
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
        """The succeeded prediction for one row.

        Args:
            features: by name, or in the order of the signature.
            wait: seconds that the server may hold the request; when they are over, the client asks from time to time.
            within: seconds for all of it.

        Raises:
            Refused: the request was not accepted; `problems` names every value to correct.
            NoAnswer: the prediction failed, expired or was canceled.
            NotFinished: not within that time.
            Unreachable: no connection.
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
        """Ask, and get the prediction as it is after at most `wait` seconds, in whatever state.

        An `idempotency_key` of your own makes it safe to ask again even after your process was restarted.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        if wait > 0:
            headers["Prefer"] = f"wait={wait:g}"
        # NaN is no JSON: the ValueError comes from here, and not as an answer of the server.
        body = json.dumps({"features": _row(features)}, default=_plain, allow_nan=False)
        response = self._send("POST", f"models/{quote(model, safe='')}/predictions/", wait, headers, body)
        return _prediction(response)

    def result(self, prediction_id: str) -> Prediction:
        """The prediction as it is now, in whatever state."""
        return _prediction(self._send("GET", f"predictions/{quote(prediction_id, safe='')}/"))

    def cancel(self, prediction_id: str) -> Prediction:
        """The canceled prediction. Refused (409) if it has ended otherwise."""
        try:
            return _prediction(self._send("POST", f"predictions/{quote(prediction_id, safe='')}/cancel/"))
        except Refused as refused:
            # A first try whose answer was lost may have canceled it.
            if refused.status == 409 and (prediction := self.result(prediction_id)).status == "canceled":
                return prediction
            raise

    def models(self) -> list[Model]:
        found = self._send("GET", "models/").json()["results"]
        return [Model(one["name"], one["title"], one["task"], one["version"]) for one in found]

    def _send(
        self,
        method: str,
        path: str,
        wait: float = 0.0,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> httpx.Response:
        """Send until there is an answer that stays, pausing ever longer, and at least as long as the server says."""
        end = time.monotonic() + self._patience
        pause = FIRST_PAUSE
        while True:
            failure: Unreachable | Refused
            try:
                return self._send_once(method, path, wait, headers, body)
            except Unreachable as error:
                failure, least = error, 0.0
            except Refused as error:
                if error.status not in NOT_NOW:
                    raise
                failure, least = error, error.retry_after or 0.0
            this_pause = max(pause * random.uniform(0.5, 1.0), least)  # noqa: S311 - jitter, not a secret
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


# --- Reading and writing ----------------------------------------------------------------------------------------------
def _row(features: Features) -> dict[str, Any] | list[Any]:
    return dict(features) if isinstance(features, Mapping) else list(features)


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy or pandas as JSON's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value of JSON")


def _prediction(response: httpx.Response) -> Prediction:
    said = response.json()
    return Prediction(
        id=said["id"],
        model=said["model"],
        version=said["version"],
        status=said["status"],
        features=said["features"],
        output=_output(said["output"]),
        advice=[Advice(one["feature"], one["code"], one["message"]) for one in said["advice"]],
        error=_failure(said["error"]),
        retry_after=said["retry_after"],
        page=said["urls"]["page"],
    )


def _output(said: dict[str, Any] | None) -> Classification | Regression | None:
    if said is None:
        return None
    if said["kind"] == "classification":
        return Classification(said["label"], said["probabilities"], said["prediction_set"], said["coverage"])
    interval = (said["interval"][0], said["interval"][1]) if said["interval"] else None
    return Regression(said["value"], said["unit"], interval, said["coverage"])


def _failure(said: dict[str, Any] | None) -> Failure | None:
    return None if said is None else Failure(said["code"], said["message"], said["retryable"])


def _problem_details(response: httpx.Response) -> dict[str, Any]:
    """RFC 9457; a proxy in between may answer in any other form."""
    try:
        said = response.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    said = response.headers.get("Retry-After", "")
    if said.isdigit():
        return float(said)
    try:
        return max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
