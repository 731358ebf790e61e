"""gzip of the bodies of requests and replies (RFC 9110, section 8.4)."""

import asyncio
import re
import zlib

from predictions.api.http import IDENTITY, ApiReply, ApiRequest, Handler, coding_of, vary_by
from predictions.serving.schema.request_errors import BadRequest, TooLarge

GZIP = "gzip"
# zlib's number for the format of gzip.
WITH_GZIP_HEADER = 31
# The quickest level: level 6 takes twice the time, and its result is a tenth smaller.
LEVEL = 1
# A smaller reply is not compressed: it would gain little. The most frequent reply, one prediction, is smaller.
WORTH_IT = 4096
# A longer reply is compressed in a thread.
LARGE = 32_768
# The requests whose bodies may be compressed: those with rows.
ROWS = re.compile(r"/api/v1/models/[^/]+/predictions/|/v2/models/[^/]+(/versions/[^/]+)?/infer")
# These replies contain a secret of the server. It must never be compressed together with a caller's text (BREACH).
SECRET = re.compile(r"/api/v1/webhooks/secret/")


# --- Requests ---------------------------------------------------------------------------------------------------------
def codings_for(method: str, path: str) -> tuple[str, ...]:
    """The codings that the body of a request may have."""
    return (GZIP, IDENTITY) if method == "POST" and ROWS.fullmatch(path) else (IDENTITY,)


async def unpack(request: ApiRequest, most: int) -> None:
    """Replace a compressed body by its uncompressed form.

    Raises:
        TooLarge: the uncompressed body has more than `most` bytes. The rest was not unpacked.
        BadRequest: the body is not gzip, it ends early, or something follows its end.
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

    The API reads no cookies, so no page of another site can make a browser send requests with a secret of its user,
    which BREACH needs. Pages of the site depend on cookies, and have form tokens beside entered texts. They are not
    compressed, except the documentation of the API. Static files are compressed when they are collected.
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
    if "ETag" in reply.headers:  # the ETag becomes weak: the same prediction in other bytes
        reply.headers["ETag"] = "W/" + reply.headers["ETag"].removeprefix("W/")


def _packed(content: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, wbits=WITH_GZIP_HEADER)
    return packer.compress(content) + packer.flush()


def _takes_gzip(accepted: str) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110, section 12.5.3). `x-gzip` and `*` stand for gzip too."""
    weights = {}
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        weights[name.strip()] = weight.replace(" ", "")
    chosen = next((weights[name] for name in (GZIP, "x-gzip", "*") if name in weights), "q=0")
    return not re.fullmatch(r"q=0(\.0*)?", chosen)
