"""The client for threads."""

from types import TracebackType
from typing import Any

import httpx

from foretell_client import flows
from foretell_client.errors import Unreachable
from foretell_client.flows import Done, Features, Flow, Flows, Pause, Send, T, advance
from foretell_client.results import Feedback, Model, ModelDetail, Prediction, Truth


def api_url(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/api/v1/"


def headers_for(token: str | None) -> dict[str, str]:
    return {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}


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
        self._http = httpx.Client(base_url=api_url(base_url), headers=headers_for(token), transport=transport)
        self._timeout = timeout
        self._flows = Flows(patience)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def predict(
        self, model: str, features: Features, wait: float = 5.0, within: float = 60.0, version: int | str | None = None
    ) -> Prediction:
        """Predict one row, and return the succeeded prediction.

        Args:
            features: values by name, or in the order of the signature.
            wait: seconds for which the server may hold the request. After that, the client polls.
            within: seconds for the whole call.
            version: the number or alias of a version; otherwise the one that serves.

        Raises:
            Refused: the server did not accept the request; `problems` names every invalid value.
            NoAnswer: the prediction failed, expired or was canceled.
            NotFinished: the prediction did not finish within `within` seconds.
            Unreachable: the server cannot be reached.
        """
        return self._run(self._flows.predict(model, features, wait, within, version))

    def predict_rows(
        self, model: str, rows: Any, wait: float = 5.0, within: float = 300.0, version: int | str | None = None
    ) -> list[Prediction]:
        """Predict several rows: a list of rows, or a DataFrame, whose missing values become null.

        Each request of a thousand rows is accepted whole or refused. Predictions that failed are in the list.
        """
        return self._run(self._flows.predict_rows(model, rows, wait, within, version))

    def submit(
        self,
        model: str,
        features: Features,
        wait: float = 0.0,
        idempotency_key: str | None = None,
        version: int | str | None = None,
    ) -> Prediction:
        """Submit one row. Returns the prediction in its state after at most `wait` seconds.

        With your own `idempotency_key` you can repeat the call safely, even after a restart of your process.
        """
        return self._run(self._flows.submit(model, features, wait, idempotency_key, version))

    def result(self, prediction_id: str, wait: float = 0.0) -> Prediction:
        """The prediction in its state after at most `wait` seconds."""
        return self._run(self._flows.result(prediction_id, wait))

    def cancel(self, prediction_id: str) -> Prediction:
        """Cancel a prediction. Raises Refused (409) if it has already ended in another state."""
        return self._run(self._flows.cancel(prediction_id))

    def remove(self, prediction_id: str) -> None:
        """Remove a prediction with its feedback, for good."""
        return self._run(self._flows.remove(prediction_id))

    def give_feedback(
        self, prediction_id: str, was_right: bool | None = None, actual: Truth | None = None, comment: str = ""
    ) -> Feedback:
        """Say whether an answer was right, or give the true value. It replaces your earlier feedback."""
        return self._run(self._flows.give_feedback(prediction_id, was_right, actual, comment))

    def predictions(self, model: str | None = None, status: str | None = None, most: int = 50) -> list[Prediction]:
        """Your own predictions, newest first. `status` may name several states, separated by commas."""
        return self._run(self._flows.predictions({"model": model, "status": status}, most))

    def models(self) -> list[Model]:
        """The models of the server."""
        return self._run(self._flows.models())

    def model(self, name: str) -> ModelDetail:
        """One model, with its signature and versions."""
        return self._run(self._flows.model(name))

    def _run(self, flow: Flow[T]) -> T:
        step = advance(flow)
        while not isinstance(step, Done):
            step = self._carry_out(flow, step)
        return step.result

    def _carry_out(self, flow: Flow[T], step: Send | Pause) -> Send | Pause | Done[T]:
        if isinstance(step, Pause):
            flows.sleep(step.seconds)
            return advance(flow)
        timeout = self._timeout + step.wait
        try:
            response = self._http.request(
                step.method, step.path, headers=step.headers, content=step.body, timeout=timeout
            )
        except httpx.TransportError as error:
            return advance(flow, error=Unreachable(error))
        return advance(flow, response)
