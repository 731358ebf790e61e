"""Requests and responses of the protocol: JSON, or JSON followed by the bytes of tensors.

Where tensors come as bytes, the header Inference-Header-Content-Length says where the JSON ends.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from predictions.api.http import ApiReply, ApiRequest, json_reply
from predictions.api.inference_protocol import tensors
from predictions.api.inference_protocol.tensors import Tail, Tensor
from predictions.api.parsers import parse as parse_json
from predictions.models import ModelVersion
from predictions.serving.schema.request_errors import BadRequest, UnsupportedMediaType

JSON_LENGTH = "Inference-Header-Content-Length"
LONGEST_ID = 200
# Clients of the protocol often name no content type.
CONTENT_TYPES = ("", "application/json", "application/octet-stream")


@dataclass(frozen=True)
class RequestedOutput:
    name: str
    as_bytes: bool


@dataclass(frozen=True)
class InferenceRequest:
    """`outputs` is empty if the client names none."""

    id: str
    content_type: str
    all_as_bytes: bool
    inputs: Sequence[Tensor]
    outputs: Sequence[RequestedOutput]


def read(request: ApiRequest) -> InferenceRequest:
    """The inference request in a body.

    Raises:
        BadRequest: the body is no inference request, or a tensor is not valid.
        UnsupportedMediaType: the content type of the body is not understood.
    """
    body = body_of(request)
    end = _json_length(request.headers.get(JSON_LENGTH.lower()), len(body))
    said = parse(body[:end])
    tail = Tail(body[end:])
    inputs = [tensors.read(tensor, tail) for tensor in _list(said, "inputs")]
    if not inputs:
        raise BadRequest('"inputs" must have at least one tensor.')
    if tail.left:
        raise BadRequest(f"{tail.left} bytes follow the last tensor.")
    parameters = _object(said, "parameters")
    all_as_bytes = parameters.get("binary_data_output") is True
    return InferenceRequest(
        _id(said.get("id")),
        str(parameters.get("content_type", "")),
        all_as_bytes,
        inputs,
        [_output(output, all_as_bytes) for output in _list(said, "outputs")],
    )


def body_of(request: ApiRequest) -> bytes:
    if request.media_type not in CONTENT_TYPES:
        raise UnsupportedMediaType(
            "Send the body as application/json, or as application/octet-stream where tensors follow as bytes."
        )
    return request.body


def parse(data: bytes) -> dict[str, Any]:
    said = parse_json(data)
    if not isinstance(said, dict):
        raise BadRequest("The body must be a JSON object.")
    return said


def reply(asked: InferenceRequest, version: ModelVersion, outputs: Sequence[tuple[Tensor, bool]]) -> ApiReply:
    """The response. Each of `outputs` is a tensor, and whether it is sent as bytes."""
    tensors_said, tail = [], b""
    for tensor, as_bytes in outputs:
        said = tensor.described()
        if as_bytes:
            data = tensor.datatype.pack(tensor.data)
            said["parameters"] = {**tensor.parameters, "binary_data_size": len(data)}
            tail += data
        else:
            said["data"] = list(tensor.data)
        tensors_said.append(said)
    name, number = version.registered_model.name, str(version.number)
    whole = {"model_name": name, "model_version": number, "id": asked.id, "outputs": tensors_said}
    if not any(as_bytes for _, as_bytes in outputs):
        return json_reply(200, whole)
    head = orjson.dumps(whole)
    headers = {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}
    return ApiReply(200, head + tail, headers)


def _json_length(said: str | None, whole: int) -> int:
    if said is None:
        return whole
    if not said.isascii() or not said.isdigit() or len(said) > 9 or int(said) > whole:
        raise BadRequest(f"{JSON_LENGTH} must be the number of bytes of the JSON, at most the {whole} of the body.")
    return int(said)


def _id(said: Any) -> str:
    if said is None or said == "":
        return str(uuid.uuid4())
    if not isinstance(said, str) or len(said) > LONGEST_ID or not said.isprintable():
        raise BadRequest(f'"id" must be a text of at most {LONGEST_ID} printable characters.')
    return said


def _output(said: Any, all_as_bytes: bool) -> RequestedOutput:
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        raise BadRequest('Each of "outputs" must be an object with a "name".')
    parameters = _object(said, "parameters")
    for extension in ("classification", "shared_memory_region"):
        if extension in parameters:
            raise BadRequest(f"Output {said['name'][:80]!r}: {extension!r} is not offered here.")
    return RequestedOutput(said["name"], parameters.get("binary_data", all_as_bytes) is True)


def _list(said: Mapping[str, Any], member: str) -> list[Any]:
    found = said.get(member, [])
    if not isinstance(found, list):
        raise BadRequest(f'"{member}" must be a list.')
    return found


def _object(said: Mapping[str, Any], member: str) -> dict[str, Any]:
    found = said.get(member) or {}
    if not isinstance(found, dict):
        raise BadRequest(f'"{member}" must be an object.')
    return found
