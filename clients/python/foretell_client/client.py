"""The synchronous client."""

from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, overload

import httpx

from foretell_client import flows, frames
from foretell_client.errors import Unreachable
from foretell_client.files import FileFlows, OnProgress, silent
from foretell_client.flows import Done, Features, Flow, Flows, Pause, Send, T, advance, rewind
from foretell_client.results import Feedback, Job, Model, ModelDetail, Prediction, Truth


def api_url(base_url: str) -> str:
    return f"{base_url.rstrip('/')}/api/v1/"


def headers_for(token: str | None) -> dict[str, str]:
    return {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}


if TYPE_CHECKING:
    from pandas import DataFrame


class Client:
    """A client of one Foretell server. Threads may share it.

    Every method that sends a request raises Refused if the server answers with an error, and Unreachable if the server
    cannot be reached.

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
        self._files = FileFlows(self._flows)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    @overload
    def predict(
        self, model: str, features: Features, wait: float = 5.0, within: float | None = None,
        version: int | str | None = None,
    ) -> Prediction: ...  # fmt: skip
    @overload
    def predict(
        self, model: str, features: "DataFrame", *, within: float | None = None, version: int | str | None = None,
        show_progress: bool = True,
    ) -> "DataFrame": ...  # fmt: skip
    def predict(
        self, model: str, features: Any, wait: float = 5.0, within: float | None = None,
        version: int | str | None = None, show_progress: bool = True,
    ) -> Any:  # fmt: skip
        """Predict one row, and return the succeeded prediction; or the rows of a DataFrame, and return their answers.

        A DataFrame is scored as a file. The answers are a DataFrame with the same index and the columns `prediction`,
        `probability_<label>` or `lower` and `upper`, `prediction_set`, `grade`, `advice` and `error`. A row that cannot
        be answered has an `error` and no prediction.

        Args:
            features: values by name, or in the order of the signature; or a DataFrame with a column for each feature.
            wait: seconds for which the server may hold the request. After that, the client polls.
            within: seconds for the whole call. By default 60 for one row, and the limit of the server for a DataFrame.
            show_progress: show a progress bar for a DataFrame if there is a terminal or a notebook.
            version: the number or alias of a version. By default the version that serves.

        Raises:
            Refused: the server did not accept the request; `problems` names every invalid value.
            NoAnswer: the prediction failed, expired or was canceled.
            NotFinished: the prediction did not finish within `within` seconds.
            JobEnded, JobNotFinished: the same for a DataFrame.
            ValueError: a row holds NaN or an infinite number; or the DataFrame has no row, lacks a column, has one
                twice, or holds an infinite number.
            ImportError: `show_progress` is set for a DataFrame, and tqdm is not installed.
            Unreachable: the server cannot be reached.
        """
        if frames.is_frame(features):
            detail = self.model(model)
            return self._run(frames.predict(self._files, detail, features, within, version, show_progress))
        limit = 60.0 if within is None else within
        return self._run(self._flows.predict(model, features, wait, limit, version))

    def predict_rows(
        self, model: str, rows: Any, wait: float = 5.0, within: float = 300.0, version: int | str | None = None
    ) -> list[Prediction]:
        """Predict several rows: a list of rows, or a DataFrame, whose missing values become null.

        The rows are sent in requests of up to 1,000. The server accepts each request as a whole or refuses it. The list
        also contains predictions that failed.

        Raises:
            NotFinished: a prediction did not finish within `within` seconds of the call.
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
        """Say whether an answer was right, or give the true value. New feedback replaces your earlier feedback."""
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

    # --- Files --------------------------------------------------------------------------------------------------------
    def submit_file(
        self,
        model: str,
        file: IO[bytes],
        name: str = "rows.csv",
        idempotency_key: str | None = None,
        version: int | str | None = None,
        **how: str,
    ) -> Job:
        """Send a file of rows: CSV, Excel, Parquet or JSON lines, opened in binary mode.

        `how` sets details of the format that the server would detect otherwise: `encoding`, `delimiter`, `decimal`,
        `header` ("true" or "false") and `sheet`.
        """
        return self._run(self._files.submit(model, file, name, idempotency_key, version, how))

    def job(self, job_id: str) -> Job:
        """The job of a file as it is now."""
        return self._run(self._files.read(job_id))

    def wait_for(self, job: Job, within: float | None = None, on_progress: OnProgress = silent) -> Job:
        """The job when it has ended. Raises JobNotFinished after `within` seconds."""
        return self._run(self._files.wait(job, within, on_progress))

    def cancel_job(self, job_id: str) -> Job:
        """End a job. Rows that are scored stay. Raises Refused (409) if it has already ended in another state."""
        return self._run(self._files.cancel(job_id))

    def save_results(self, job_id: str, into: IO[bytes], kind: str = "csv") -> None:
        """Write the results to a file that is opened in binary mode. `kind` is "csv", "xlsx" or "parquet"."""
        self._run(self._files.save(job_id, "results", into, kind))

    def save_bad_rows(self, job_id: str, into: IO[bytes], kind: str | None = None) -> None:
        """Write the bad rows, so that you can correct them, in the format of the input unless `kind` names another."""
        self._run(self._files.save(job_id, "errors", into, kind))

    def correct(
        self, job_id: str, file: IO[bytes], name: str = "corrected.csv", idempotency_key: str | None = None
    ) -> Job:
        """Send the corrected bad rows. Only these rows are scored, and they replace the bad rows in the results."""
        return self._run(self._files.correct(job_id, file, name, idempotency_key))

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
            stream = self._http.stream(step.method, step.path, headers=step.headers, timeout=timeout, **step.parts())
            with stream as response:
                if step.into is None or not response.is_success:
                    response.read()
                else:
                    rewind(step.into)
                    for piece in response.iter_bytes():
                        step.into.write(piece)
        except httpx.TransportError as error:
            return advance(flow, error=Unreachable(error))
        return advance(flow, response)
