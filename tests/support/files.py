"""Files to be scored: rows of a demo model as text, and a job that is executed in the test's own process."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.utils import timezone

from predictions.batches import downloads, execution, jobs
from predictions.batches.layout import Layout, Wishes
from predictions.models import BatchJob, ModelVersion, RegisteredModel, Source
from predictions.use_cases.callers import Caller

ANN = Caller("visitor:ann")
NAMES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
GOOD = ["5.1", "3.5", "1.4", "0.2"]


def text(rows: Sequence[Sequence[str]], header: Sequence[str] = NAMES, delimiter: str = ",") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return buffer.getvalue().encode()


def submit(model: RegisteredModel, content: bytes, caller: Caller = ANN, **more: Any) -> BatchJob:
    version = model.champion
    assert version is not None
    wishes = Wishes(**more.pop("wishes", {}))
    return jobs.submit(version, caller, Source.API, io.BytesIO(content), more.pop("name", "rows.csv"), wishes, **more)


def make_job(version: ModelVersion, **fields: Any) -> BatchJob:
    """A job that waits, without a file."""
    now = timezone.now()
    layout = Layout(format="csv", columns=NAMES, matched=[0, 1, 2, 3]).model_dump()
    defaults = {"source": Source.API, "caller": "visitor:ann", "filename": "rows.csv", "bytes": 0, "layout": layout}
    times = {"created_at": now, "deadline_at": now + timedelta(hours=1)}
    return BatchJob.objects.create(version=version, **{**defaults, **times, **fields})


def execute(job: BatchJob) -> BatchJob:
    """Execute chunks until none is queued."""
    while execution.run_next():
        pass
    job.refresh_from_db()
    return job


def score(model: RegisteredModel, content: bytes, **more: Any) -> BatchJob:
    return execute(submit(model, content, **more))


def correct(job: BatchJob, content: bytes) -> BatchJob:
    jobs.correct(job, ANN, io.BytesIO(content))
    return execute(job)


def results(job: BatchJob) -> list[dict[str, str]]:
    return records(b"".join(downloads.results(job)), job)


def bad_rows(job: BatchJob) -> list[dict[str, str]]:
    return records(b"".join(downloads.bad_rows(job)), job)


def records(content: bytes, job: BatchJob) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter=job.layout["delimiter"]))


def places(bad: Sequence[Mapping[str, str]]) -> list[tuple[int, str]]:
    """Line and `column: code` of each problem."""
    return [(int(row["line"]), ": ".join(part.split(": ")[:2])) for row in bad for part in row["error"].split("; ")]


def form(model: str, content: bytes, name: str = "rows.csv", **fields: str) -> tuple[bytes, str]:
    """A multipart body and its content type."""
    file = SimpleUploadedFile(name, content)
    sent = {"file": file, **({"model": model} if model else {}), **fields}
    return encode_multipart(BOUNDARY, sent), MULTIPART_CONTENT
