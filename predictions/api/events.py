"""GET predictions/<id>/events/: the changes of a prediction's state as server-sent events (HTML, section 9.2).

Each event carries the prediction as JSON; its id is the state. Every state is read from the database, so a stream goes
on when a worker dies. A stream ends after `STREAM_SECONDS`; clients connect again, with the id in Last-Event-ID.
"""

import time
from collections.abc import AsyncIterator

import orjson

from predictions.api import representation
from predictions.api.http import ApiReply, ApiRequest
from predictions.api.operations import find
from predictions.models import Prediction
from predictions.use_cases.wait import subscribe, wait

STREAM_SECONDS = 300.0
# A change that is not announced, such as queued to running, is seen after this time.
LOOK_SECONDS = 1.0
# A comment this often keeps proxies from closing a silent connection.
COMMENT_SECONDS = 15.0
# Streams at one time in each web process. Further ones send the present state and end; their clients connect again.
MOST_STREAMS = 200
RECONNECT_MS = 2000

_streams = 0


async def events(request: ApiRequest, prediction_id: str) -> ApiReply:
    """The stream; 204 for a client that has received the last event, so that it does not connect again."""
    row = await find(request, prediction_id)
    seen = request.headers.get("last-event-id", "")
    if row.is_terminal and seen == event_id(row):
        return ApiReply(204)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return ApiReply(200, headers=headers, stream=_changes(request, row, seen))


def event_id(row: Prediction) -> str:
    return f"{row.state}-{row.attempts}"


async def _changes(request: ApiRequest, row: Prediction, seen: str) -> AsyncIterator[bytes]:
    global _streams
    end = time.monotonic() + (STREAM_SECONDS if _streams < MOST_STREAMS else 0.0)
    _streams += 1
    try:
        yield f"retry: {RECONNECT_MS}\n\n".encode()
        with subscribe([row.pk]) as subscription:
            spoke_at = time.monotonic()
            while True:
                if event_id(row) != seen:
                    seen, spoke_at = event_id(row), time.monotonic()
                    yield _event(request, row)
                elif time.monotonic() - spoke_at > COMMENT_SECONDS:
                    spoke_at = time.monotonic()
                    yield b":\n\n"
                if row.is_terminal or time.monotonic() > end:
                    return
                await wait([row], subscription, LOOK_SECONDS)
    finally:
        _streams -= 1


def _event(request: ApiRequest, row: Prediction) -> bytes:
    body = orjson.dumps(representation.prediction(request.origin, row), option=orjson.OPT_UTC_Z)
    return b"id: %s\nevent: status\ndata: %s\n\n" % (event_id(row).encode(), body)
