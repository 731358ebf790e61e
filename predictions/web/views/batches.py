"""Pages of batch jobs: the caller's list, a new file with its preview, one job with its progress, results, bad rows."""

import io
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core import signing
from django.core.files.base import File
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from predictions.batches import downloads, exports, jobs, opening, responses
from predictions.batches.layout import FORMATS, WISHES, read_wishes
from predictions.batches.limits import limit_text
from predictions.batches.progress import progress, progress_of
from predictions.models import BatchJob, ModelVersion, RegisteredModel, Source, batch_files
from predictions.serving.schema.errors import CannotCancel, ForetellError, InvalidInput, NoResults, NotFound, Problem
from predictions.serving.schema.sentences import english
from predictions.use_cases.callers import Caller, of_visitor
from predictions.use_cases.lookup import find_model, serving_version
from predictions.web import polling
from predictions.web.access import for_predictors
from predictions.web.batches import BatchPresenter, absent_note, choices, looked_at
from predictions.web.forms import written
from predictions.web.localized import localized
from predictions.web.visitors import caller_of, client_ip, new_visitor_id, set_visitor_cookie

# htmx 2 swaps a response with this status and stops polling.
STOP_POLLING = 286
PAGE_SIZE = 50
DRAFT_SALT = "foretell.draft"
DRAFT_SECONDS = 2 * 3600
GONE = english("This upload is no longer here. Send the file again.")


@require_safe
@never_cache
@for_predictors
def mine(request: HttpRequest) -> HttpResponse:
    caller = caller_of(request)
    page = Paginator(jobs.history_of(caller), PAGE_SIZE).get_page(request.GET.get("page"))
    rows = jobs.with_versions(list(page))
    how_far = progress_of(rows)
    shown = [BatchPresenter(job, how_far[job.pk], viewer=caller.key) for job in rows]
    return render(
        request,
        "batches/list.html",
        {
            "jobs": shown,
            "models": RegisteredModel.objects.listed(),
            "previous_url": f"?page={page.previous_page_number()}" if page.has_previous() else "",
            "next_url": f"?page={page.next_page_number()}" if page.has_next() else "",
        },
    )


# --- A new job --------------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@for_predictors
def new(request: HttpRequest) -> HttpResponse:
    """GET: the form, or the preview of a draft, which is an uploaded file. POST: store a draft, or start its job."""
    name = request.GET.get("model") or request.POST.get("model")
    if not name:  # the list of files lets the user choose a model
        return redirect("batches")
    registered = find_model(name)
    version = serving_version(registered)
    visitor = new_visitor_id(request)
    caller = of_visitor(visitor, client_ip(request)) if visitor else caller_of(request)
    if request.method != "POST":
        response = _preview(request, registered, version) if "draft" in request.GET else _form(request, registered)
    elif "draft" in request.POST:
        response = _start(request, registered, version, caller)
    else:
        response = _keep_draft(request, registered)
    if visitor:
        set_visitor_cookie(response, visitor)
    return response


def _form(request: HttpRequest, registered: RegisteredModel, error: ForetellError | None = None) -> HttpResponse:
    context = {"model": registered, "limit": limit_text().partition(". ")[0], **_shown_error(error)}
    return render(request, "batches/new.html", context, status=422 if error else 200)


def _shown_error(error: ForetellError | None) -> dict[str, Any]:
    if error is None:
        return {}
    problems = [localized(problem.message) for problem in error.problems] if isinstance(error, InvalidInput) else []
    title = gettext("The file cannot be scored as it is.") if problems else localized(error.sentence)
    return {"error": title, "problems": problems}


def _keep_draft(request: HttpRequest, registered: RegisteredModel) -> HttpResponse:
    file, name = _sent(request)
    if file is None:
        return _form(request, registered, InvalidInput([_nothing_sent()]))
    draft = str(uuid.uuid4())
    batch_files.save_draft(draft, File(file))
    token = signing.dumps([draft, name], salt=DRAFT_SALT)
    query = urlencode({"model": registered.name, "draft": token})
    return HttpResponse(status=303, headers={"Location": f"{reverse('new-batch')}?{query}"})


def _nothing_sent() -> Problem:
    return Problem(None, "missing", english("Choose a file, or paste rows with their header."))


def _sent(request: HttpRequest) -> tuple[IO[bytes] | None, str]:
    file, text = request.FILES.get("file"), request.POST.get("rows", "")
    if file is not None:
        return file, str(file.name)
    return (io.BytesIO(text.encode()), gettext("pasted rows") + ".csv") if text.strip() else (None, "")


def _draft(token: str) -> tuple[str, str, IO[bytes]]:
    """The id, the file name and the content of a draft. Raises NotFound if the token is invalid or it is gone."""
    try:
        draft, name = signing.loads(token, salt=DRAFT_SALT, max_age=DRAFT_SECONDS)
    except signing.BadSignature:
        raise NotFound(GONE) from None
    file = batch_files.open_draft(draft)
    if file is None:
        raise NotFound(GONE)
    return draft, name, file


def _preview(request: HttpRequest, registered: RegisteredModel, version: ModelVersion) -> HttpResponse:
    from predictions.batches.preview import look  # noqa: PLC0415 - imports pyarrow, which no other page needs

    _, name, file = _draft(request.GET["draft"])
    with file:
        try:
            layout = opening.find_layout(file, version.signature, read_wishes(request.GET))
            seen = look(file, layout, version.signature)
        except ForetellError as error:
            return _form(request, registered, error)
    context = {
        "model": registered, "filename": name, "draft": request.GET["draft"], "preview": seen, "layout": layout,
        "absent_note": absent_note(layout), "fields": choices(layout), "format": FORMATS[layout.format],
        "looked_at": looked_at(seen.looked_at, seen.total),
        "rows": list(zip(seen.lines, seen.table, strict=True)),
        "wishes": [(name, request.GET[name]) for name in WISHES if request.GET.get(name)],
    }  # fmt: skip
    return render(request, "batches/preview.html", context)


def _start(request: HttpRequest, registered: RegisteredModel, version: ModelVersion, caller: Caller) -> HttpResponse:
    draft, name, file = _draft(request.POST["draft"])
    with file:
        try:
            job = jobs.submit(version, caller, Source.FORM, file, name, read_wishes(request.POST), f"draft:{draft}")
        except ForetellError as error:
            return _form(request, registered, error)
    batch_files.remove_draft(draft)
    return HttpResponse(status=303, headers={"Location": reverse("batch", args=[job.pk])})


@require_safe
@for_predictors
def template(request: HttpRequest) -> HttpResponse:
    """A file to fill in: the names of the features as header, and the examples of the model as rows."""
    registered = find_model(request.GET.get("model", ""))
    signature = serving_version(registered).signature
    examples = [written(signature, example["values"]) for example in registered.description.get("examples", [])]
    records = [list(signature.names), *(list(example.values()) for example in examples)]
    kind = "xlsx" if request.GET.get("format") == "xlsx" else "csv"
    if kind == "xlsx":
        with exports.workbook(records, frozenset(range(len(signature.names)))) as file:
            content = file.read()
    else:
        content = b"".join(downloads.header(record, ",") for record in records)
    name = f"{registered.name}-template.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=exports.FORMATS[kind], headers=headers)


# --- One job ----------------------------------------------------------------------------------------------------------
@require_safe
@never_cache
def batch(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    shown = _present(request, job_id)
    reload = {} if shown.is_terminal or shown.capped else {"refresh_seconds": max(1, round(shown.delay_ms / 1000))}
    return render(request, "batches/batch.html", {"batch": shown, **reload})


def _present(request: HttpRequest, job_id: uuid.UUID) -> BatchPresenter:
    caller = caller_of(request)
    job = jobs.find_job(job_id, caller)
    return BatchPresenter(job, progress(job, with_summary=True), polling.attempt_of(request), viewer=caller.key)


@require_safe
@never_cache
def status(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    shown = _present(request, job_id)
    ended = shown.is_terminal and request.htmx  # type: ignore[attr-defined]
    response = render(request, "batches/_batch.html", {"batch": shown}, status=STOP_POLLING if ended else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_POST
def cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    caller = caller_of(request)
    try:
        jobs.cancel(jobs.find_job(job_id, caller), caller)
    except CannotCancel as error:
        messages.info(request, localized(error.sentence))
    return redirect("batch", job_id)


@require_POST
def corrections(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    caller = caller_of(request)
    job = jobs.find_job(job_id, caller)
    file, _ = _sent(request)
    try:
        if file is None:
            raise InvalidInput([_nothing_sent()])
        jobs.correct(job, caller, file)
    except ForetellError as error:
        said = [problem.message for problem in error.problems] if isinstance(error, InvalidInput) else [error.sentence]
        messages.error(request, " ".join(map(localized, said)))
    return redirect("batch", job_id)


@require_safe
def results(request: HttpRequest, job_id: uuid.UUID) -> HttpResponseBase:
    job = jobs.find_job(job_id, caller_of(request))
    return _download(request, job, "results", request.GET.get("format", "csv"), exports.results)


@require_safe
def errors(request: HttpRequest, job_id: uuid.UUID) -> HttpResponseBase:
    job = jobs.find_job(job_id, caller_of(request))
    kind = request.GET.get("format", exports.form_of(job, is_bad=True))
    return _download(request, job, "errors", kind, exports.bad_rows)


def _download(
    request: HttpRequest, job: BatchJob, what: str, kind: str, export: Callable[[BatchJob, str], Iterator[bytes]]
) -> HttpResponseBase:
    try:
        return responses.download(job, what, kind, export(job, kind))
    except (InvalidInput, NoResults) as error:
        said = error.problems[0].message if isinstance(error, InvalidInput) else error.sentence
        messages.error(request, localized(said))
        return redirect("batch", job.pk)
