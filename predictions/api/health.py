"""Liveness: whether this process answers.

It is said on the event loop: a probe that waited for a free thread would end a process whose pages are only slow.
"""

from predictions.api.http import ApiReply, ApiRequest, json_reply

UNKEPT = {"Cache-Control": "no-store"}


async def live(_: ApiRequest) -> ApiReply:
    return ApiReply(200, b"ok", {"Content-Type": "text/plain", **UNKEPT})


async def protocol_live(_: ApiRequest) -> ApiReply:
    """As the Open Inference Protocol has it."""
    return json_reply(200, {"live": True}, UNKEPT)
