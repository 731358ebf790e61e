"""The operations that programs ask hundreds of times a second, on the event loop: predict, and fetch a prediction."""

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any

from django.utils.http import parse_etags

from predictions.api import representation
from predictions.api.headers import PredictOptions, read_options
from predictions.api.http import JSON, ApiReply, ApiRequest, json_reply
from predictions.api.parsers import parse
from predictions.models import ModelVersion, Prediction, Source
from predictions.models.ids import new_prediction_id
from predictions.serving.schema.errors import InvalidInput, Problem, UnsupportedMediaType
from predictions.serving.schema.signature import Value
from predictions.serving.schema.wording import printable
from predictions.use_cases import lookup
from predictions.use_cases.submit import PredictCommand, submit
from predictions.use_cases.wait import subscribe, wait

# Reading and validating a longer body would hold up the event loop: a thread does it.
LARGE_BODY = 10_000


async def predict(request: ApiRequest, name: str) -> ApiReply:
    """POST models/<name>/predictions/: accept one row, and wait for its answer where `Prefer: wait` asks for that."""
    if request.media_type != JSON:
        raise UnsupportedMediaType
    options = read_options(request.headers)
    version = lookup.serving_version(await lookup.model(name))
    values = await _values(request.body, version)
    command = PredictCommand(
        version,
        [values],
        [new_prediction_id()],
        request.caller,
        Source.API,
        options.idempotency_key,
        options.time_allowed,
    )
    return await _accept(request, command, options)


async def _values(body: bytes, version: ModelVersion) -> list[Value]:
    if len(body) > LARGE_BODY:
        return await asyncio.get_running_loop().run_in_executor(lookup.reading, clean, body, version)
    return clean(body, version)


def clean(body: bytes, version: ModelVersion) -> list[Value]:
    """The row in a body `{"features": …}`, in signature order.

    Raises:
        NotJSON, InvalidInput: it is none; all its problems at once.
    """
    given = parse(body)
    if not isinstance(given, dict) or "features" not in given:
        raise InvalidInput([Problem(None, "missing", 'The body must be an object: {"features": {…}}.')])
    if unknown := sorted(given.keys() - {"features"}):
        message = f'Only "features" belongs here, not "{printable(unknown[0])}".'
        raise InvalidInput([Problem(None, "unknown_member", message)])
    return version.signature.clean(given["features"])


async def _accept(request: ApiRequest, command: PredictCommand, options: PredictOptions) -> ApiReply:
    with subscribe(command.ids) as subscription:
        [row] = await asyncio.wrap_future(submit(command))
        if row.pk == command.ids[0]:
            await wait([row], subscription, options.wait)
            return _accepted(request, row, options)
    # The key stands for an earlier prediction: wait for that one.
    with subscribe([row.pk]) as subscription:
        subscription.look_now()
        await wait([row], subscription, options.wait)
    return _accepted(request, row, options)


def _accepted(request: ApiRequest, row: Prediction, options: PredictOptions) -> ApiReply:
    """200 for a prediction that has ended, 202 for one that has not."""
    body = representation.prediction(request.origin, row)
    headers = {"Location": body["urls"]["self"]}
    if not row.is_terminal:
        return json_reply(202, body, {**headers, "Retry-After": str(representation.RETRY_AFTER)})
    if options.wait:
        headers["Preference-Applied"] = f"wait={options.wait:g}"
    return json_reply(200, body, {**headers, **_server_timing(row)})


async def fetch(request: ApiRequest, prediction_id: str) -> ApiReply:
    """GET predictions/<id>/: 200, or 304 if the client has it as it is."""
    row = await asyncio.wrap_future(lookup.predictions.submit((uuid.UUID(prediction_id), request.caller)))
    etag = f'"{row.state}-{row.attempts}"'
    if _is_known(etag, request.headers.get("if-none-match", "")):
        return ApiReply(304, headers={"ETag": etag})
    body = representation.prediction(request.origin, row)
    return json_reply(200, body, {"ETag": etag, **_server_timing(row)})


def _is_known(etag: str, if_none_match: str) -> bool:
    """RFC 9110, section 13.1.2: any of a list, compared weakly, or `*`."""
    return any(known in ("*", etag, f"W/{etag}") for known in parse_etags(if_none_match))


def _server_timing(row: Prediction) -> Mapping[str, str]:
    """Server-Timing (W3C), in milliseconds; nothing before the end."""
    if not row.is_terminal:
        return {}
    times: dict[str, Any] = representation.timing(row)
    marks = {re.sub(r"d?_ms$", "", name): ms for name, ms in times.items() if ms is not None}
    return {"Server-Timing": ", ".join(f"{name};dur={ms:.3f}" for name, ms in marks.items())}
