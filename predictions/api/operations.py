"""The operations that programs call hundreds of times a second, on the event loop: predict, and fetch a prediction."""

import asyncio
import json
import uuid
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django.utils.http import parse_etags

from predictions.api import representation
from predictions.api.headers import read_options, read_wait
from predictions.api.http import ApiReply, ApiRequest, json_reply
from predictions.api.parsers import check_json
from predictions.api.prediction_body import PredictBody, read_body
from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, Source
from predictions.models.ids import new_prediction_ids
from predictions.serving.schema.errors import NotAuthenticated
from predictions.use_cases import lookup
from predictions.use_cases.submit import PredictCommand, submit
from predictions.use_cases.wait import subscribe, wait, wait_a_moment

# A thread reads and validates a longer body, since that would hold up the event loop.
LARGE_BODY = 10_000
# A thread writes a reply with more rows than this.
FEW_ROWS = 30

T = TypeVar("T")


async def predict(request: ApiRequest, name: str) -> ApiReply:
    """POST models/<name>/predictions/: accept rows, and wait for their answers where `Prefer: wait` asks for that."""
    check_json(request)
    options = read_options(request.headers, request.caller)
    model = await lookup.model(name)
    asked = await _off_loop(len(request.body) > LARGE_BODY, read_body, request.body)
    if asked.webhook_url is not None and not request.caller.token:
        raise NotAuthenticated
    version = await _version(request, model, asked, options.idempotency_key)
    rows = await _off_loop(len(request.body) > LARGE_BODY, asked.clean, version.signature)
    command = PredictCommand(
        version,
        rows,
        new_prediction_ids(len(rows)),
        request.caller,
        Source.API,
        options.idempotency_key,
        options.time_allowed,
        asked.version is not None,
        asked.webhook_url,
    )
    found = await accept_and_wait(command, options.wait)
    return await _off_loop(len(found) > FEW_ROWS, _accepted, request, found, asked.has_several, options.wait)


async def _off_loop(is_long: bool, call: Callable[..., T], *args: Any) -> T:
    """Call in a thread if the work is long, since it would hold up the event loop."""
    if is_long:
        return await asyncio.get_running_loop().run_in_executor(lookup.reading, call, *args)
    return call(*args)


async def _version(request: ApiRequest, model: RegisteredModel, asked: PredictBody, key: str | None) -> ModelVersion:
    """The version that is asked for, or the one that serves.

    A key that was used before is answered even if no version serves, by the version that it was used with.

    Raises:
        NotFound: the model has no such version.
        ModelUnavailable: the model is paused, or no version of it serves.
    """
    if asked.version is not None:
        return await lookup.version(model.name, asked.version, request.caller)
    if (version := registry.version_for(model, request.caller.routed_as)) is not None:
        return version  # `submit` checks whether it is available: a key may have been used before
    earlier = None
    if key is not None:
        earlier = await _off_loop(True, lookup.version_of_key, request.caller.key, key)
    return earlier or lookup.serving_version(model)


async def accept_and_wait(command: PredictCommand, seconds: float) -> list[Prediction]:
    """The accepted predictions, or the earlier ones of the key, as they are after `seconds` at most."""
    with subscribe(command.ids) as subscription:
        rows = await submit(command)
        if rows[0].pk == command.ids[0]:
            await wait(rows, subscription, seconds)
            return rows
    # The key stands for earlier predictions: wait for those.
    wanted = [(row.pk, command.caller) for row in rows]
    with subscribe([row.pk for row in rows]) as subscription:
        subscription.look_now()
        found = [await lookup.predictions.ask(one) for one in wanted]
        await wait(found, subscription, seconds)
    return found


def _accepted(request: ApiRequest, rows: list[Prediction], has_several: bool, seconds: float) -> ApiReply:
    """200 for predictions that have all ended, 202 otherwise."""
    bodies = [representation.prediction(request.origin, row) for row in rows]
    body: Any = {"results": bodies} if has_several else bodies[0]
    headers = {} if has_several else {"Location": bodies[0]["urls"]["self"]}
    if not all(row.is_terminal for row in rows):
        return json_reply(202, body, {**headers, "Retry-After": str(representation.RETRY_AFTER)})
    timing = {} if has_several else _server_timing(bodies[0])
    return json_reply(200, body, {**headers, **_applied(seconds), **timing})


async def fetch(request: ApiRequest, prediction_id: str) -> ApiReply:
    """GET predictions/<id>/: 200, or 304 if the client has it as it is; `Prefer: wait` waits for its end."""
    seconds = read_wait(request.headers)
    with subscribe([uuid.UUID(prediction_id)]) as subscription:
        row = await find(request, prediction_id)
        if seconds:
            await wait([row], subscription, seconds)
        else:
            await wait_a_moment(row, subscription)
    return _fetched(request, row, _applied(seconds))


async def find(request: ApiRequest, prediction_id: str) -> Prediction:
    """The prediction with the caller's feedback. Raises NotFound or Removed."""
    return await lookup.predictions.ask((uuid.UUID(prediction_id), request.caller))


def _fetched(request: ApiRequest, row: Prediction, headers: Mapping[str, str]) -> ApiReply:
    body = representation.prediction(request.origin, row)
    etag = f'"{row.state}-{row.attempts}{_mark(body["feedback"])}"'
    headers = {**headers, "ETag": etag}
    if _is_known(etag, request.headers.get("if-none-match", "")):
        return ApiReply(304, headers=headers)
    waits = {} if row.is_terminal else {"Retry-After": str(representation.RETRY_AFTER)}
    return json_reply(200, body, {**headers, **waits, **_server_timing(body)})


def _mark(feedback: Any) -> str:
    return f"-{zlib.crc32(json.dumps(feedback).encode()):x}" if feedback else ""


def _applied(seconds: float) -> dict[str, str]:
    return {"Preference-Applied": f"wait={seconds:g}"} if seconds else {}


def _is_known(etag: str, if_none_match: str) -> bool:
    """Whether If-None-Match names the ETag (RFC 9110, section 13.1.2): in a list, compared weakly, or by `*`."""
    return any(known in ("*", etag, f"W/{etag}") for known in parse_etags(if_none_match))


def _server_timing(body: Mapping[str, Any]) -> Mapping[str, str]:
    """Server-Timing (W3C) of a prediction as JSON, in milliseconds; nothing before the end."""
    times = body["timing"]
    if times["total_ms"] is None:
        return {}
    marks = {"queue": times["queued_ms"], "predict": times["predict_ms"], "total": times["total_ms"]}
    return {"Server-Timing": ", ".join(f"{name};dur={ms:.3f}" for name, ms in marks.items() if ms is not None)}
