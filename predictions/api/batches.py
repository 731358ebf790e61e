"""The operations of the JSON API on files: send one, read its progress, results and bad rows, send corrections."""

import io
import json
import uuid
from collections.abc import Iterator
from typing import IO, Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.decorators import api_view, parser_classes
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import batch_serializers as bodies
from predictions.api.headers import read_options
from predictions.api.http import JSON
from predictions.api.lists import NewestFirst
from predictions.api.openapi import IDEMPOTENCY_KEY, operation
from predictions.api.openapi import problems as may_answer
from predictions.api.parsers import StrictJSONParser
from predictions.api.representation import batch
from predictions.api.threads import caller_of, request_of
from predictions.api.uploads import size_of
from predictions.batches import exports, jobs, responses
from predictions.batches.layout import WISHES, Wishes, read_wishes
from predictions.batches.progress import progress, progress_of
from predictions.models import BatchJob, ModelVersion, Source
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.request_errors import BadRequest, FileTooLarge, UnsupportedMediaType
from predictions.use_cases.lookup import check_not_paused, find_model, find_version, serving_version

# The largest JSON body, which is read as a whole. More rows must come as a file.
JSON_BYTES = 32 * 1024 * 1024
ACCEPTED = (MultiPartParser.media_type, JSON)
FORMAT = OpenApiParameter("format", OpenApiTypes.STR, enum=[*exports.FORMATS], description="Instead of CSV.")
DOWNLOADS: dict[Any, Any] = {(200, kind.partition(";")[0]): OpenApiTypes.STR for kind in exports.FORMATS.values()}


class RowsParser(StrictJSONParser):
    """JSON of a bounded size."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        content = stream.read(JSON_BYTES + 1)
        if len(content) > JSON_BYTES:
            raise FileTooLarge(f"JSON rows may have {JSON_BYTES // 1024**2} MB; send more of them as a file.")
        return super().parse(io.BytesIO(content), media_type, parser_context)


@operation(
    "list_batches",
    responses={200: bodies.BatchPage, **may_answer(401, 403, 404, 422)},
    methods=["GET"],
)
@operation(
    "create_batch",
    request={"multipart/form-data": bodies.BatchFile, "application/json": bodies.BatchRows},
    parameters=[IDEMPOTENCY_KEY],
    responses={
        202: OpenApiResponse(bodies.BatchBody, "Accepted: it will end, whatever happens here."),
        **may_answer(400, 401, 403, 404, 413, 415, 422, 429, 503),
    },
    methods=["POST"],
)
@api_view(["GET", "HEAD", "POST"])
@parser_classes([MultiPartParser, RowsParser])
def batches(request: Request) -> Response:
    return _create(request) if request.method == "POST" else _list(request)


batches.query_parameters = ("cursor", "limit")  # read by `threads.check_query`


def _list(request: Request) -> Response:
    pages = NewestFirst(request)
    page = pages.page(jobs.history_of(caller_of(request)))
    rows, how_far = jobs.with_versions(page), progress_of(page)
    origin = request_of(request).origin
    return pages.response([batch(origin, job, how_far[job.pk]) for job in rows])


def _create(request: Request) -> Response:
    key = _key(request)
    _check_body(request)
    if problems := list(_problems(request)):
        raise InvalidInput(problems)
    body: Any = request.data
    file, name = _file_of(request)
    called = _called(request)
    job = jobs.submit(
        _version(body["model"], called),
        caller_of(request),
        Source.API,
        file,
        name,
        _wishes(request),
        key,
        is_pinned=called is not None,
    )
    shown = _shown(request, jobs.with_versions([job])[0])
    return Response(shown, 202, headers={"Location": shown["urls"]["self"], "Retry-After": "1"})


def _key(request: Request) -> str | None:
    """The Idempotency-Key as it is kept: apart from the keys of predictions. Raises BadHeader."""
    key = read_options(request_of(request).headers, caller_of(request)).idempotency_key
    return key and f"batch:{key}"


def _check_body(request: Request) -> None:
    """Raises BadRequest for an empty body, and UnsupportedMediaType for a body of another type."""
    asked = request_of(request)
    if asked.file is None or not size_of(asked.file):
        raise BadRequest("The body is empty; send a form with the file, or JSON with its rows.")
    if asked.media_type not in ACCEPTED:
        raise UnsupportedMediaType(f"Send the body as {' or '.join(ACCEPTED)}.", accepted=ACCEPTED)


def _problems(request: Request) -> Iterator[Problem]:
    """The problems of all members at once."""
    body: Any = request.data
    if not isinstance(body, dict):
        body = {}
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield Problem(None, "missing", "Say model: its name, as text.", "/model")
    said = body.get("version")
    if isinstance(said, bool) or not (said is None or isinstance(said, str | int)):
        yield Problem(None, "wrong_type", "Must be the number or the alias of a version.", "/version")
    yield from _problems_of_the_file(request)


def _problems_of_the_file(request: Request) -> Iterator[Problem]:
    body: Any = request.data
    if request_of(request).media_type != JSON:
        if not body.get("file"):
            yield Problem(None, "missing", "Send the file as the form's part “file”.", "/file")
        return
    rows = body.get("rows") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict | list) for row in rows):
        message = 'The body must be {"model": …, "rows": […]}, each row an object or a list in signature order.'
        yield Problem(None, "missing", message, "/rows")


def _called(request: Request) -> str | None:
    """The number or alias of the version that is asked for; None for the one that serves."""
    body: Any = request.data
    said = body.get("version")
    return None if said in (None, "") else str(said)


def _version(name: str, called: str | None) -> ModelVersion:
    """Raises NotFound or ModelUnavailable."""
    model = find_model(name)
    if called is None:
        return serving_version(model)
    check_not_paused(model)
    return find_version(name, called)


def _file_of(request: Request) -> tuple[IO[bytes], str]:
    """The file of a form, or the rows of a JSON body as lines."""
    body: Any = request.data
    if request_of(request).media_type == JSON:
        lines = (json.dumps(row, ensure_ascii=True) + "\n" for row in body["rows"])
        return io.BytesIO("".join(lines).encode()), "rows.jsonl"
    if (file := request.FILES.get("file")) is not None:
        return file, str(file.name)
    return io.BytesIO(body["file"].encode()), "rows.csv"  # a part without a name, as of `curl -F 'file=<rows.csv'`


def _wishes(request: Request) -> Wishes:
    body: Any = request.data
    given = {name: body.get(name) for name in WISHES}
    return read_wishes({name: value for name, value in given.items() if isinstance(value, str)})


@operation("read_batch", responses={200: bodies.BatchBody, **may_answer(401, 403, 404, 410)})
@api_view(["GET", "HEAD"])
def read(request: Request, job_id: uuid.UUID) -> Response:
    return Response(_shown(request, jobs.find_job(job_id, caller_of(request))))


@operation("cancel_batch", request=None, responses={200: bodies.BatchBody, **may_answer(401, 403, 404, 409, 410)})
@api_view(["POST"])
def cancel(request: Request, job_id: uuid.UUID) -> Response:
    """Cancel the job. Rows that are scored keep their results."""
    job = jobs.find_job(job_id, caller_of(request))
    jobs.cancel(job, caller_of(request))
    return Response(_shown(request, jobs.with_versions([job])[0]))


@operation(
    "correct_batch",
    request={"multipart/form-data": bodies.CorrectionFile, "application/json": bodies.CorrectionRows},
    parameters=[IDEMPOTENCY_KEY],
    responses={202: bodies.BatchBody, **may_answer(400, 401, 403, 404, 409, 410, 413, 415, 422)},
)
@api_view(["POST"])
@parser_classes([MultiPartParser, RowsParser])
def corrections(request: Request, job_id: uuid.UUID) -> Response:
    """Send corrected rows with their `line`. Only these are scored, and they replace the bad rows in the results."""
    job = jobs.find_job(job_id, caller_of(request))
    key = _key(request)
    _check_body(request)
    if problems := list(_problems_of_the_file(request)):
        raise InvalidInput(problems)
    file, _ = _file_of(request)
    job = jobs.correct(job, caller_of(request), file, key)
    return Response(_shown(request, jobs.with_versions([job])[0]), 202)


@operation(
    "read_batch_results",
    parameters=[FORMAT],
    responses={**DOWNLOADS, **may_answer(401, 403, 404, 409, 410, 422)},
)
@api_view(["GET", "HEAD"])
def results(request: Request, job_id: uuid.UUID) -> StreamingHttpResponse:
    """The columns of the file and the columns of the results, one line for each input line, in their order."""
    job = jobs.find_job(job_id, caller_of(request))
    kind = request.query_params.get("format", "csv")
    return responses.download(job, "results", kind, exports.results(job, kind))


@operation(
    "read_batch_errors",
    parameters=[FORMAT],
    responses={**DOWNLOADS, **may_answer(401, 403, 404, 409, 410, 422)},
)
@api_view(["GET", "HEAD"])
def errors(request: Request, job_id: uuid.UUID) -> StreamingHttpResponse:
    """The bad rows with `line` and `error`, to be corrected and sent again."""
    job = jobs.find_job(job_id, caller_of(request))
    kind = request.query_params.get("format", exports.form_of(job, is_bad=True))
    return responses.download(job, "errors", kind, exports.bad_rows(job, kind))


results.query_parameters = errors.query_parameters = ("format",)


def _shown(request: Request, job: BatchJob) -> dict[str, Any]:
    return batch(request_of(request).origin, job, progress(job))
