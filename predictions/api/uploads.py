"""Bodies that are files. They are written to the disk as they come, up to a limit."""

import tempfile
from collections.abc import Mapping
from typing import IO

from predictions.api.http import Receive, content_length

# A smaller body stays in memory.
IN_MEMORY = 1024 * 1024
BROKEN_BODY = "The body ended early, or its chunks are not framed as HTTP has it."


class BrokenBody(Exception):
    """The client closed the connection, or framed its chunks wrongly: to the server the two look alike."""


async def receive_file(headers: Mapping[str, str], receive: Receive, most: int) -> IO[bytes]:
    """The body as a file, positioned at its beginning.

    A body whose declared length exceeds `most` is not read. Any other body is read up to the message that exceeds
    `most`, so the caller must check the size.

    Raises:
        BrokenBody: the body ended early.
    """
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - the caller closes it
    is_more_to_come = content_length(headers) <= most
    while is_more_to_come and file.tell() <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            file.close()
            raise BrokenBody
        file.write(message.get("body", b""))
        is_more_to_come = message.get("more_body", False)
    file.seek(0)
    return file


def size_of(file: IO[bytes]) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size
