"""Responses that are made chunk by chunk while they are sent, for the API and for pages."""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import Any

from predictions.api.http import Chunks, Receive, Send

STREAM_THREADS = 4


class Streams:
    """Makes chunks in a few threads of their own.

    All chunks of one response are made in the same thread, so they may use one database connection. Between two chunks
    the thread works for other responses: a client that reads slowly, or not at all, delays no other.
    """

    def __init__(self) -> None:
        self._threads = cycle([ThreadPoolExecutor(1, thread_name_prefix="stream") for _ in range(STREAM_THREADS)])

    async def send(
        self, start: Mapping[str, Any], response: Chunks, receive: Receive, send: Send, *, is_head: bool = False
    ) -> None:
        """Send the message `start`, and then the chunks of the response, unless it answers HEAD.

        Returns when all was sent, or when the client has disconnected.
        """
        thread = next(self._threads)
        # After the request's body, the only message that can come says that the client has disconnected.
        leaving = asyncio.ensure_future(receive())
        try:
            await send(start)
            await self._send_chunks(thread, () if is_head else response, leaving, send)
        finally:
            leaving.cancel()
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, response.close))

    async def _send_chunks(
        self, thread: ThreadPoolExecutor, response: Iterable[Any], leaving: "asyncio.Future[Any]", send: Send
    ) -> None:
        loop = asyncio.get_running_loop()
        chunks = await loop.run_in_executor(thread, iter, response)
        while not leaving.done():
            chunk = await loop.run_in_executor(thread, next, chunks, None)
            if chunk is None:
                await send({"type": "http.response.body"})
                return
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


streams = Streams()
