"""Liveness: whether this process answers.

The reply comes from the event loop. If a probe had to wait for a free thread, a supervisor would end a process whose
pages are only slow.
"""

from predictions.api.http import ApiReply, ApiRequest, json_reply

LIVE = "/healthz/live"
NO_STORE = {"Cache-Control": "no-store"}


async def live(_: ApiRequest) -> ApiReply:
    return ApiReply(200, b"ok", {"Content-Type": "text/plain", **NO_STORE})


async def protocol_live(_: ApiRequest) -> ApiReply:
    """The liveness reply of the Open Inference Protocol."""
    return json_reply(200, {"live": True}, NO_STORE)
