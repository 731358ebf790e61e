"""Downloads as HTTP responses, for pages and API."""

from collections.abc import Iterator

from django.http import StreamingHttpResponse

from predictions.batches import exports
from predictions.models import BatchJob


def download(job: BatchJob, what: str, kind: str, content: Iterator[bytes]) -> StreamingHttpResponse:
    stem = job.filename.rpartition(".")[0] or job.filename
    safe = "".join(character if character.isalnum() or character in "-_ ." else "_" for character in stem)
    response = StreamingHttpResponse(content, content_type=exports.FORMATS[kind])
    response["Content-Disposition"] = f'attachment; filename="{_ascii(safe)}-{what}.{kind}"'
    response["Cache-Control"] = "no-store"
    return response


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("?", "_")[:100]
