"""The operations of a client, without I/O: each is a generator of requests and pauses.

`Client` and `AsyncClient` send the requests and wait for the pauses, so both repeat requests and read responses in the
same way.
"""

import json
import math
import random
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

import httpx

from foretell_client import results
from foretell_client.errors import NoAnswer, NotFinished, Refused, Unreachable
from foretell_client.results import Feedback, Model, ModelDetail, Prediction, Truth

T = TypeVar("T")
Features: TypeAlias = Mapping[str, Any] | Sequence[Any]

# Temporary failures: a repetition may succeed. The Idempotency-Key prevents that rows are accepted twice.
RETRY_STATUSES = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
# Rows that the server takes in one request.
MOST_ROWS = 1000


@dataclass(frozen=True)
class Send:
    """A request. `wait` is the number of seconds for which the server may hold it.

    The body is JSON, or a form of `fields` and `files` (names with their contents). If `into` is given, the response is
    written to it from its beginning.
    """

    method: str
    path: str
    wait: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    fields: Mapping[str, str] | None = None
    files: Mapping[str, tuple[str, IO[bytes]]] | None = None
    into: IO[bytes] | None = None

    def parts(self) -> dict[str, Any]:
        """The body as keyword arguments of httpx."""
        return {"content": self.body, "data": self.fields, "files": self.files}


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class Done(Generic[T]):
    result: T


Flow: TypeAlias = Generator[Send | Pause, Any, T]


def advance(
    flow: Flow[T], answer: httpx.Response | None = None, error: Exception | None = None
) -> Send | Pause | Done[T]:
    """The next step of a flow after the answer to the last one, or after its failure."""
    try:
        return flow.throw(error) if error else flow.send(answer)
    except StopIteration as end:
        return Done(end.value)


@dataclass(frozen=True)
class Flows:
    """`patience`: seconds during which a request is repeated after a lost connection or a temporary refusal."""

    patience: float

    # --- Predict ------------------------------------------------------------------------------------------------------
    def predict(
        self, model: str, features: Features, wait: float, within: float, version: int | str | None
    ) -> Flow[Prediction]:
        end = time.monotonic() + within
        found = yield from self.submit(model, features, wait, None, version)
        found = yield from self._finish(found, end)
        return _answered(found)

    def submit(
        self, model: str, features: Features, wait: float, key: str | None, version: int | str | None
    ) -> Flow[Prediction]:
        response = yield from self._post_rows(model, {"features": row_of(features)}, wait, key, version)
        return results.prediction(response.json())

    def predict_rows(
        self, model: str, rows: Any, wait: float, within: float, version: int | str | None
    ) -> Flow[list[Prediction]]:
        """Predict rows in requests of at most `MOST_ROWS` rows. The result also contains predictions that failed."""
        end = time.monotonic() + within
        given, found = rows_of(rows), []
        for start in range(0, len(given), MOST_ROWS):
            lot = given[start : start + MOST_ROWS]
            response = yield from self._post_rows(model, {"rows": lot}, wait, None, version)
            found += [results.prediction(body) for body in response.json()["results"]]
        for place, one in enumerate(found):
            found[place] = yield from self._finish(one, end)
        return found

    def _post_rows(
        self, model: str, body: dict[str, Any], wait: float, key: str | None, version: int | str | None
    ) -> Flow[httpx.Response]:
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or uuid.uuid4().hex}
        if wait > 0:
            headers["Prefer"] = f"wait={wait:g}"
        whole = body if version is None else {**body, "version": version}
        # JSON has no NaN: this raises a ValueError before anything is sent.
        text = json.dumps(whole, default=as_json, allow_nan=False)
        path = f"models/{quote(model, safe='')}/predictions/"
        return (yield from self.send(Send("POST", path, wait, headers, text)))

    def _finish(self, found: Prediction, end: float) -> Flow[Prediction]:
        while not found.is_finished:
            pause = max(found.retry_after or 0.0, FIRST_PAUSE)
            if time.monotonic() + pause > end:
                raise NotFinished(found)
            yield Pause(pause)
            found = yield from self.result(found.id, 0.0)
        return found

    # --- Read and change ----------------------------------------------------------------------------------------------
    def result(self, prediction_id: str, wait: float) -> Flow[Prediction]:
        headers = {"Prefer": f"wait={wait:g}"} if wait > 0 else {}
        response = yield from self.send(Send("GET", _of(prediction_id), wait, headers))
        return results.prediction(response.json())

    def cancel(self, prediction_id: str) -> Flow[Prediction]:
        try:
            response = yield from self.send(Send("POST", f"{_of(prediction_id)}cancel/"))
        except Refused as refused:
            # An earlier attempt may have canceled the prediction although its response was lost.
            if refused.status == 409:
                found = yield from self.result(prediction_id, 0.0)
                if found.status == "canceled":
                    return found
            raise
        return results.prediction(response.json())

    def remove(self, prediction_id: str) -> Flow[None]:
        try:
            yield from self.send(Send("DELETE", _of(prediction_id)))
        except Refused as refused:
            if refused.status != 410:  # 410: an earlier attempt has removed the prediction
                raise

    def give_feedback(
        self, prediction_id: str, was_right: bool | None, actual: Truth | None, comment: str
    ) -> Flow[Feedback]:
        body = json.dumps({"was_right": was_right, "actual": actual, "comment": comment}, default=as_json)
        headers = {"Content-Type": "application/json"}
        response = yield from self.send(Send("PUT", f"{_of(prediction_id)}feedback/", 0.0, headers, body))
        return results.feedback(response.json())

    def predictions(self, filters: Mapping[str, Any], most: int) -> Flow[list[Prediction]]:
        found: list[Prediction] = []
        query = urlencode({name: value for name, value in filters.items() if value is not None})
        path: str | None = f"predictions/?{query}"
        while path is not None and len(found) < most:
            body = (yield from self.send(Send("GET", path))).json()
            found += [results.prediction(one) for one in body["results"]]
            path = body["next"]
        return found[:most]

    def models(self) -> Flow[list[Model]]:
        response = yield from self.send(Send("GET", "models/"))
        return [results.model(body) for body in response.json()["results"]]

    def model(self, name: str) -> Flow[ModelDetail]:
        response = yield from self.send(Send("GET", f"models/{quote(name, safe='')}/"))
        return results.model_detail(response.json())

    # --- Repetitions --------------------------------------------------------------------------------------------------
    def send(self, request: Send) -> Flow[httpx.Response]:
        """The response to a request, which is repeated on temporary failures with exponential backoff."""
        end = time.monotonic() + self.patience
        pause = FIRST_PAUSE
        while True:
            failure: Unreachable | Refused
            try:
                response: httpx.Response = yield request
                if response.is_success:
                    return response
                failure = Refused(response)
            except Unreachable as error:
                failure = error
            if isinstance(failure, Refused) and failure.status not in RETRY_STATUSES:
                raise failure
            least = (failure.retry_after or 0.0) if isinstance(failure, Refused) else 0.0
            this_pause = max(pause * random.uniform(0.5, 1.0), least)  # noqa: S311 - jitter, not a secret
            if time.monotonic() + this_pause > end:
                raise failure
            yield Pause(this_pause)
            pause = min(pause * 2, LONGEST_PAUSE)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def clock() -> float:
    """The seconds of a monotonic clock, for time limits."""
    return time.monotonic()


def rewind(file: IO[bytes]) -> None:
    """Empty a file that a repeated request writes again."""
    file.seek(0)
    file.truncate()


def _of(prediction_id: str) -> str:
    return f"predictions/{quote(prediction_id, safe='')}/"


def _answered(found: Prediction) -> Prediction:
    """Return a prediction that succeeded. Raises NoAnswer for any other."""
    if found.status != "succeeded":
        raise NoAnswer(found)
    return found


# --- Values -----------------------------------------------------------------------------------------------------------
def row_of(features: Features) -> dict[str, Any] | list[Any]:
    return dict(features) if isinstance(features, Mapping) else list(features)


def rows_of(rows: Any) -> list[dict[str, Any] | list[Any]]:
    """Rows for JSON. Rows of a DataFrame are by column name, with null for missing values."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        return [{name: _given(value) for name, value in row.items()} for row in rows.to_dict("records")]
    return [row_of(row) for row in rows]


def _given(value: Any) -> Any:
    """The value, but None for NaN, NA and NaT, the missing values of pandas."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def as_json(value: Any) -> Any:
    """Numbers and arrays of numpy or pandas as Python numbers and lists; dates and times as text in ISO 8601. A time at
    midnight is sent as its date, since pandas stores dates so."""
    if hasattr(value, "isoformat"):
        is_midnight = isinstance(value, datetime) and value.time() == datetime.min.time()
        return (value.date() if is_midnight else value).isoformat()
    if type(value).__name__ == "datetime64":  # in nanoseconds it would become an integer
        return value.astype("datetime64[us]").tolist()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
