"""The receipt of a prediction in the JSON API."""

import uuid
from typing import Any

from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.request import Request
from rest_framework.response import Response

from predictions.api import representation
from predictions.api.openapi import operation, problems
from predictions.api.serializers import Timing
from predictions.api.threads import caller_of
from predictions.models import State
from predictions.use_cases.lookup import find_prediction
from predictions.use_cases.receipt import receipt_of


class ArtifactBody(serializers.Serializer[Any]):
    sha256 = serializers.CharField()
    bytes = serializers.IntegerField()
    compiled_sha256 = serializers.CharField(allow_null=True)


class HashBody(serializers.Serializer[Any]):
    """Of the member of the prediction in canonical JSON (RFC 8785)."""

    sha256 = serializers.CharField(allow_null=True)


class ReceiptBody(serializers.Serializer[Any]):
    """Which artefact answered which input: `input` is the hash of the prediction's `features`."""

    prediction = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(State.choices)
    artifact = ArtifactBody()
    engine = serializers.ChoiceField(["onnx", "estimator"])
    libraries = serializers.DictField(child=serializers.CharField())
    input = HashBody()
    output = HashBody()
    attempts = serializers.IntegerField()
    machine = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    timing = Timing()


@operation("read_prediction_receipt", responses={200: ReceiptBody, **problems(401, 403, 404, 410)})
@api_view(["GET", "HEAD"])
def receipt(request: Request, prediction_id: uuid.UUID) -> Response:
    """Version, hashes, libraries, engine and times. It can be read at any time, before the end too."""
    row = find_prediction(prediction_id, caller_of(request))
    found = receipt_of(row)
    body = {
        "prediction": str(row.pk),
        "model": row.version.registered_model.name,
        "version": row.version.number,
        "status": row.state,
        "artifact": {
            "sha256": found.artifact_sha256,
            "bytes": found.artifact_bytes,
            "compiled_sha256": found.compiled_sha256,
        },
        "engine": found.engine,
        "libraries": found.libraries,
        "input": {"sha256": found.input_sha256},
        "output": {"sha256": found.output_sha256},
        "attempts": found.attempts,
        "machine": found.machine,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "timing": representation.timing(row),
    }
    return Response(body)
