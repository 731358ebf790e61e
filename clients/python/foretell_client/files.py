"""The operations on files: jobs that score many rows. As in `flows`, each is a generator of requests and pauses."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any, TypeAlias
from urllib.parse import quote

from foretell_client import results
from foretell_client.errors import JobEnded, JobNotFinished, Refused
from foretell_client.flows import FIRST_PAUSE, LONGEST_PAUSE, Flow, Flows, Pause, Send, clock
from foretell_client.results import Job

# A callback that gets the number of rows that are done, and the number of rows found so far.
OnProgress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class FileFlows:
    """`file` must be open in binary mode and seekable, since a repeated request sends it again."""

    flows: Flows

    def submit(
        self, model: str, file: IO[bytes], name: str, key: str | None, version: int | str | None, how: dict[str, str]
    ) -> Flow[Job]:
        fields = {**how, "model": model} | ({} if version is None else {"version": str(version)})
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        request = Send("POST", "batches/", 0.0, headers, fields=fields, files={"file": (name, file)})
        return results.job((yield from self.flows.send(request)).json())

    def read(self, job_id: str) -> Flow[Job]:
        return results.job((yield from self.flows.send(Send("GET", _of(job_id)))).json())

    def wait(self, job: Job, within: float | None, on_progress: OnProgress) -> Flow[Job]:
        """The job when it has ended. Raises JobNotFinished if it does not end within `within` seconds."""
        end = None if within is None else clock() + within
        pause = FIRST_PAUSE
        while not job.is_finished:
            if end is not None and clock() + pause > end:
                raise JobNotFinished(job)
            yield Pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            job = yield from self.read(job.id)
            on_progress(job.done, job.rows)
        return job

    def cancel(self, job_id: str) -> Flow[Job]:
        try:
            response = yield from self.flows.send(Send("POST", f"{_of(job_id)}cancel/"))
        except Refused as refused:
            # An earlier attempt may have canceled the job, or its corrections, although its response was lost.
            if refused.status == 409:
                found = yield from self.read(job_id)
                corrections = found.corrections and found.corrections.error
                if found.status == "canceled" or (corrections and corrections.code == "canceled"):
                    return found
            raise
        return results.job(response.json())

    def correct(self, job_id: str, file: IO[bytes], name: str, key: str | None) -> Flow[Job]:
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        request = Send("POST", f"{_of(job_id)}corrections/", 0.0, headers, files={"file": (name, file)})
        return results.job((yield from self.flows.send(request)).json())

    def save(self, job_id: str, what: str, into: IO[bytes], kind: str | None) -> Flow[None]:
        """Write a download to `into`. `what` is `results` or `errors`. A repeated request writes the file anew."""
        path = f"{_of(job_id)}{what}/" + (f"?format={quote(kind)}" if kind else "")
        yield from self.flows.send(Send("GET", path, into=into))


def ended_well(job: Job) -> Job:
    """Return a finished job. Raises JobEnded for a job that was canceled, has expired or failed: it lacks answers."""
    if job.status != "finished":
        raise JobEnded(job)
    return job


def silent(done: int, rows: int) -> None:
    """Show no progress."""


def _of(job_id: str) -> str:
    return f"batches/{quote(job_id, safe='')}/"


def progress_bar(rows: int) -> tuple[OnProgress, Callable[[], Any]]:
    """A callback that shows a progress bar on standard error or in a notebook, and a function that closes the bar.

    Nothing is shown without a terminal. Raises ImportError if tqdm is not installed.
    """
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415 - part of the extra `frames`
    except ImportError as error:
        remedy = "pip install 'foretell-client[frames]', or say show_progress=False"
        raise ImportError(f"The progress bar needs tqdm: {remedy}.") from error
    bar = tqdm(total=rows, unit=" rows", unit_scale=True, disable=None)

    def show(done: int, _rows: int) -> None:
        bar.update(done - bar.n)

    return show, bar.close
