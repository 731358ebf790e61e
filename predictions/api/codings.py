"""gzip of bodies (RFC 9110, section 8.4), both ways."""

import asyncio
import re
import zlib
from collections.abc import Mapping

from predictions.api.http import ApiReply, ApiRequest, Handler, vary_by
from predictions.serving.schema.request_errors import BadRequest, TooLarge

GZIP = "gzip"
IDENTITY = "identity"
# zlib's number for the format of gzip.
WITH_GZIP_HEADER = 31
# Quick rather than small: level 6 takes twice the time for a tenth less.
LEVEL = 1
# A smaller reply would gain little. One prediction is smaller, so that the most frequent replies cost nothing more.
WORTH_IT = 4096
# A longer reply is compressed in a thread.
LARGE = 32_768
# The requests whose bodies may be compressed: rows.
ROWS = re.compile(r"/api/v1/models/[^/]+/predictions/|/v2/models/[^/]+(/versions/[^/]+)?/infer")
# A secret of the server stands in these replies. What a caller chooses must never be compressed with one (BREACH).
SECRET = re.compile(r"/api/v1/webhooks/secret/")


# --- Requests ---------------------------------------------------------------------------------------------------------
def coding_of(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", IDENTITY).strip().lower()


def codings_for(method: str, path: str) -> tuple[str, ...]:
    """Those that a body may have."""
    return (GZIP, IDENTITY) if method == "POST" and ROWS.fullmatch(path) else (IDENTITY,)


async def unpack(request: ApiRequest, most: int) -> None:
    """Put the body in the place of its compressed form.

    Raises:
        TooLarge: it has more than `most` bytes. No more than these were unpacked.
        BadRequest: it is no gzip, or ends early.
    """
    if coding_of(request.headers) == GZIP:
        request.body = await asyncio.to_thread(_unpacked, request.body, most)


def _unpacked(packed: bytes, most: int) -> bytes:
    member = zlib.decompressobj(WITH_GZIP_HEADER)
    try:
        body = member.decompress(packed, most + 1)
    except zlib.error:
        raise BadRequest("The body is not gzip, as Content-Encoding says.") from None
    if len(body) > most:
        raise TooLarge
    if packed and (not member.eof or member.unused_data):
        raise BadRequest("The gzip of the body ends early, or something follows it.")
    return body


# --- Replies ----------------------------------------------------------------------------------------------------------
async def compress(call_next: Handler, request: ApiRequest) -> ApiReply:
    """Compress a large reply for a client that takes gzip.

    The API reads no cookies: no page of another site can make a browser ask with a secret of its user, which BREACH
    needs. Pages of the site are not compressed, since they answer to cookies and hold form tokens beside what was
    entered; their static files are, when they are collected.
    """
    reply = await call_next(request)
    if not isinstance(reply.content, bytes) or reply.stream or SECRET.fullmatch(request.path):
        return reply
    if len(reply.content) < WORTH_IT or "Content-Encoding" in reply.headers:
        return reply
    vary_by(reply, "Accept-Encoding")
    if _takes_gzip(request.headers.get("accept-encoding", "")):
        await _pack(reply, reply.content)
    return reply


async def _pack(reply: ApiReply, content: bytes) -> None:
    is_large = len(content) > LARGE
    reply.content = await asyncio.to_thread(_packed, content) if is_large else _packed(content)
    reply.headers["Content-Encoding"] = GZIP
    if "ETag" in reply.headers:  # the same prediction in other bytes
        reply.headers["ETag"] = "W/" + reply.headers["ETag"].removeprefix("W/")


def _packed(content: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, wbits=WITH_GZIP_HEADER)
    return packer.compress(content) + packer.flush()


def _takes_gzip(accepted: str) -> bool:
    """By RFC 9110, section 12.5.3. `x-gzip` and `*` stand for gzip too."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "")
    chosen = next((weights[name] for name in (GZIP, "x-gzip", "*") if name in weights), "q=0")
    return not re.fullmatch(r"q=0(\.0*)?", chosen)
