"""Bounds: memory, rows, cells, the unpacked size of a workbook, attempts, deadlines and retention."""

import io
import zipfile
from datetime import timedelta
from typing import Any

import psutil
import pytest
from django.core.files.storage import storages

from predictions.batches import reader
from predictions.batches.layout import Wishes, text_layout
from predictions.maintenance import leases, retention
from predictions.models import BatchChunk, BatchJob, RegisteredModel, Tombstone
from predictions.serving.schema.request_errors import FileTooLarge
from tests.support.files import ANN, GOOD, NAMES, bad_rows, execute, places, results, score, submit, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def iris(registered: dict[str, RegisteredModel]) -> RegisteredModel:
    return registered["iris"]


class Repeated(io.RawIOBase):
    """A file of a header and one repeated line, made while it is read. `most` is the size of the largest read."""

    def __init__(self, head: bytes, line: bytes, lines: int) -> None:
        self._head, self._line = head, line
        self.size = len(head) + len(line) * lines
        self.place = self.most = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = self.size + offset if whence == 2 else offset
        return self.place

    def read(self, size: int = -1) -> bytes:
        wanted = min(size, self.size - self.place)
        self.most = max(self.most, wanted)
        line = self._line
        if self.place < len(self._head):
            found = (self._head + line * (wanted // len(line) + 1))[self.place : self.place + wanted]
        else:
            skip = (self.place - len(self._head)) % len(line)
            found = (line * (wanted // len(line) + 2))[skip : skip + wanted]
        self.place += len(found)
        return found


def test_memory_does_not_grow_with_the_file(iris: RegisteredModel) -> None:
    assert iris.champion is not None
    signature = iris.champion.signature
    lines = 40_000
    file: Any = Repeated(text([], [*NAMES, "note"]), ",".join([*GOOD, "x" * 2000]).encode() + b"\n", lines)
    layout = text_layout(file.read(100_000), signature, Wishes())
    process, most, rows = psutil.Process(), 0, 0
    before = process.memory_info().rss
    for part in reader.parts(file, layout, signature, layout.start, layout.line, reader.CHUNK_ROWS):
        rows += part.rows
        most = max(most, process.memory_info().rss - before)
    assert rows == lines
    assert file.most <= reader.LARGEST_WINDOW
    assert most < file.size  # 80 MB


def test_file_with_too_many_rows_fails_with_the_limit(iris: RegisteredModel, settings: Any) -> None:
    settings.BATCH_ROWS = 10
    job = score(iris, text([GOOD] * 11))
    assert (job.state, job.error_code) == ("failed", "file_too_large")
    assert "more than 10 rows" in job.error


def test_cell_that_is_too_long_is_an_error_of_its_row(iris: RegisteredModel, settings: Any) -> None:
    settings.BATCH_CELL_BYTES = 100
    job = score(iris, text([[*GOOD, "x" * 101], [*GOOD, "x"]], [*NAMES, "note"]))
    assert places(bad_rows(job)) == [(2, ": cell_too_long")]


def test_workbook_that_unpacks_to_too_much_is_refused_by_its_directory(iris: RegisteredModel) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as sheet:
            for _ in range(301):
                sheet.write(b"0" * 1024**2)
    assert len(buffer.getvalue()) < 1024**2
    with pytest.raises(FileTooLarge, match="unpacks to 301 MB"):
        submit(iris, buffer.getvalue())


def test_file_whose_reader_dies_again_and_again_fails(iris: RegisteredModel, settings: Any) -> None:
    job = submit(iris, text([GOOD]))
    for _ in range(settings.MAX_ATTEMPTS):
        assert BatchChunk.objects.claim() is not None
        BatchChunk.objects.filter(job=job).update(claimed_until="2000-01-01T00:00Z")
        leases.sweep_files()
    job.refresh_from_db()
    assert (job.state, job.error_code) == ("failed", "worker_lost")


def test_claim_that_was_lost_changes_nothing(iris: RegisteredModel) -> None:
    job = submit(iris, text([GOOD]))
    lost = BatchChunk.objects.claim()
    assert lost is not None
    BatchChunk.objects.filter(pk=lost.pk).update(claimed_until="2000-01-01T00:00Z")
    leases.sweep_files()
    assert execute(job).state == "finished"
    assert not BatchChunk.objects.settle_reading(lost, [])
    assert len(results(job)) == 1


def test_job_past_its_deadline_expires(iris: RegisteredModel) -> None:
    job = submit(iris, text([GOOD]))
    BatchJob.objects.update(deadline_at="2000-01-01T00:00Z")
    leases.sweep_files()
    assert execute(job).state == "expired"


def test_retention_removes_a_job_with_its_files(iris: RegisteredModel) -> None:
    job = score(iris, text([GOOD]), caller=ANN)
    assert storages["batches"].listdir(job.folder)[1]
    assert retention.prune_files(timedelta(days=1)) == 0
    assert retention.prune_files(timedelta(0)) == 1
    assert not storages["batches"].exists(job.folder)
    assert Tombstone.objects.stands_for(job.pk)
    assert not BatchJob.objects.exists()
