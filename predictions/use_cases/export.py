"""Export: all data of a user as one JSON document."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.utils import timezone

from predictions.lifecycle import registry
from predictions.models import ApiToken, BatchJob, Embedding, Feedback, Prediction
from predictions.models.prediction import PredictionQuerySet
from predictions.use_cases.callers import key_of

# Rows of one query. An export holds no more rows in memory, and no query open between two pages.
PAGE = 500


def export(user: User) -> Iterator[str]:
    """A JSON document, in pieces: the account, what belongs to it, and its predictions, newest first."""
    said = Feedback.objects.filter(caller=key_of(user)).order_by("given_at")
    head = {
        "exported_at": timezone.now(),
        "account": {"username": user.username, "email": user.email, "joined_at": user.date_joined},
        "tokens": list(ApiToken.objects.of(user).values("name", "created", "expiry", "last_used_at")),
        "embeddings": list(Embedding.objects.of(user).values("registered_model__name", "origin", "created_at")),
        "files": list(_files(user)),
        "feedback": list(said.values("prediction", "was_right", "actual", "comment", "given_at")),
    }
    yield f'{_json(head)[:-1]}, "predictions": ['
    separator = "\n"
    for page in pages(Prediction.objects.asked_by(key_of(user))):
        for row in page:
            yield separator + _json(_prediction(row))
            separator = ",\n"
    yield "\n]}\n"


def _files(user: User) -> Iterator[dict[str, Any]]:
    """The metadata of the user's files. Their rows and results are downloaded separately."""
    columns = ("id", "filename", "bytes", "state", "created_at", "finished_at", "version__registered_model__name")
    for row in BatchJob.objects.asked_by(key_of(user)).values(*columns):
        yield {"model": row.pop("version__registered_model__name"), **row}


def pages(rows: PredictionQuerySet) -> Iterator[list[Prediction]]:
    """The rows in pages. Each page begins where the last one ended, so `rows` must be ordered by -created_at, -id."""
    following = rows
    while page := list(following[:PAGE]):
        yield registry.attach_versions(page)
        last = page[-1]
        earlier = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)
        following = rows.filter(earlier, created_at__lte=last.created_at)


def _prediction(row: Prediction) -> dict[str, Any]:
    return {
        "id": row.pk,
        "model": row.version.registered_model.name,
        "version": row.version.number,
        "source": row.source,
        "features": dict(zip(row.version.signature.names, row.values, strict=True)),
        "status": row.state,
        "output": row.version.in_order(row.output),
        "error_code": row.error_code or None,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
    }


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
