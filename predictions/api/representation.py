"""Models and predictions as JSON."""

from datetime import datetime
from typing import Any

from django.urls import reverse

from predictions.api import addresses
from predictions.batches.progress import Corrections, Progress
from predictions.lifecycle import registry
from predictions.models import BatchJob, Feedback, ModelVersion, Prediction, RegisteredModel, State
from predictions.serving.schema.errors import ERRORS

# Whole seconds after which an unfinished prediction is worth another look.
RETRY_AFTER = 1


def index(origin: str) -> dict[str, Any]:
    names = {"models": "api-models", "predictions": "api-predictions", "schema": "api-schema", "docs": "api-docs"}
    return {"name": "Foretell", "urls": {name: _url(origin, route) for name, route in names.items()}}


def model(origin: str, registered: RegisteredModel) -> dict[str, Any]:
    version = registry.champion(registered)
    return {
        "name": registered.name,
        "title": registered.title,
        "task": registered.task,
        "version": version.number if version else None,
        "urls": {
            "self": _url(origin, "api-model", registered.name),
            "predictions": _url(origin, "api-predict", registered.name),
            "page": _url(origin, "model", registered.name),
        },
    }


def model_in_full(origin: str, registered: RegisteredModel, versions: list[ModelVersion]) -> dict[str, Any]:
    champion = registered.champion
    examples = registered.description.get("examples", [])
    return {
        **model(origin, registered),
        "summary": registered.summary,
        "signature": champion.signature.json_schema() if champion else None,
        "versions": [version_line(version, champion) for version in versions],
        "aliases": aliases(registered),
        "challenger": challenger(registered),
        "metrics": champion.manifest["metrics"] if champion else {},
        "example": {"features": examples[0]["values"]} if examples else None,
    }


def aliases(registered: RegisteredModel) -> dict[str, int]:
    return dict(registered.aliases.values_list("name", "version__number"))


def challenger(registered: RegisteredModel) -> dict[str, Any] | None:
    if registered.challenger is None:
        return None
    return {"version": registered.challenger.number, "canary_percent": registered.canary_percent}


def version_line(version: ModelVersion, champion: ModelVersion | None) -> dict[str, Any]:
    return {
        "version": version.number,
        "created_at": version.created_at,
        "champion": version == champion,
        "available": version.is_available,
        "metrics": version.manifest["metrics"],
    }


def prediction(origin: str, row: Prediction) -> dict[str, Any]:
    signature = row.version.signature
    own_id = str(row.pk)
    return {
        "id": own_id,
        "model": row.version.registered_model.name,
        "version": row.version.number,
        "status": row.state,
        "features": dict(zip(signature.names, row.values, strict=True)),
        "output": row.version.in_order(row.output),
        "advice": [
            {"feature": advice.feature, "code": advice.code, "message": advice.message}
            for advice in row.version.advisor.advise(row.values)
        ],
        "error": _error(row),
        "feedback": feedback(row.own_feedback),
        "source": row.source,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "deadline_at": row.deadline_at,
        "timing": timing(row),
        "retry_after": None if row.is_terminal else RETRY_AFTER,
        "urls": addresses.all_of_prediction(origin, own_id),
    }


def feedback(given: Feedback | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {"was_right": given.was_right, "actual": given.actual, "comment": given.comment}


def timing(row: Prediction) -> dict[str, float | None]:
    return {
        "queued_ms": _between(row.created_at, row.started_at),
        "predict_ms": row.predict_ms,
        "total_ms": _between(row.created_at, row.finished_at),
    }


def _between(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round(max((end - start).total_seconds(), 0.0) * 1000, 3)


def batch(origin: str, job: BatchJob, how_far: Progress) -> dict[str, Any]:
    """`rows` are those found so far; `failed` and `bad` are the same count."""
    return {
        "id": str(job.pk),
        "model": job.version.registered_model.name,
        "version": job.version.number,
        "status": job.state,
        "filename": job.filename,
        "rows": how_far.rows,
        "done": how_far.done,
        "good": how_far.good,
        "bad": how_far.bad,
        "failed": how_far.bad,
        "rows_per_second": how_far.rows_per_second,
        "seconds_left": how_far.seconds_left,
        "corrections": _corrections(how_far.corrections),
        "layout": _layout(job),
        "error": {"code": job.error_code, "message": job.error} if job.error_code else None,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "deadline_at": job.deadline_at,
        "urls": {
            "self": _url(origin, "api-batch", job.pk),
            "page": _url(origin, "batch", job.pk),
            "results": _url(origin, "api-batch-results", job.pk),
            "errors": _url(origin, "api-batch-errors", job.pk),
            "cancel": _url(origin, "api-batch-cancel", job.pk),
            "corrections": _url(origin, "api-batch-corrections", job.pk),
        },
    }


def _corrections(found: Corrections | None) -> dict[str, Any] | None:
    """Null also while they are being read."""
    if found is None or not found.is_known:
        return None
    error = {"code": found.error_code, "message": found.error} if found.error else None
    return {"rows": found.rows, "unused": found.unused, "lines": found.lines, "error": error}


def _layout(job: BatchJob) -> dict[str, Any]:
    """How the file is read. Files of earlier versions have no list of absent features."""
    found = {name: job.layout[name] for name in ("format", "encoding", "delimiter", "decimal", "header", "sheet")}
    return {**found, "absent": job.layout.get("absent", [])}


def _error(row: Prediction) -> dict[str, Any] | None:
    if row.state not in (State.FAILED, State.EXPIRED) or (known := ERRORS.get(row.error_code)) is None:
        return None
    return {"code": known.code, "message": known.sentence, "retryable": known.retryable}


def _url(origin: str, name: str, *args: Any) -> str:
    return origin + reverse(name, args=args)
