"""A minimal HTTP/1.1 client for the load client: one keep-alive connection, one request at a time.

It parses raw bytes to use little processor time: the load client shares the machine with the measured service.
"""

import asyncio
from typing import NamedTuple, cast

SECONDS = 60.0


class Reply(NamedTuple):
    status: int
    body: bytes


class ConnectionLost(ConnectionError):
    """The server closed the connection before its reply was complete."""


class ReplyParser:
    """Parses one HTTP/1.1 reply from pieces of any size."""

    def __init__(self) -> None:
        self.has_begun = False
        self.closes = False
        self._buffer = bytearray()
        self._status: int | None = None
        self._length: int | None = None
        self._is_chunked = False

    def feed(self, data: bytes) -> Reply | None:
        """Add a piece. Returns the reply once it is complete."""
        self.has_begun = True
        self._buffer += data
        if self._status is None and not self._read_head():
            return None
        return self._reply(self._whole_body())

    def end(self) -> Reply | None:
        """The reply after the connection was closed, if its length was not given; else None."""
        is_open_ended = self._length is None and not self._is_chunked
        return self._reply(bytes(self._buffer)) if is_open_ended else None

    def _reply(self, body: bytes | None) -> Reply | None:
        return None if self._status is None or body is None else Reply(self._status, body)

    def _read_head(self) -> bool:
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return False
        status_line, *lines = bytes(head).lower().split(b"\r\n")
        headers = dict(line.split(b":", 1) for line in lines)
        self._status = int(status_line.split(b" ")[1])
        if b"content-length" in headers:
            self._length = int(headers[b"content-length"])
        self._is_chunked = b"chunked" in headers.get(b"transfer-encoding", b"")
        self.closes = b"close" in headers.get(b"connection", b"")
        self._buffer = body
        return True

    def _whole_body(self) -> bytes | None:
        if self._is_chunked:
            return _unchunked(self._buffer)
        if self._length is None or len(self._buffer) < self._length:
            return None
        return bytes(self._buffer[: self._length])


def _unchunked(buffer: bytearray) -> bytes | None:
    """The body of a chunked reply, or None while the last chunk is missing."""
    body, place = bytearray(), 0
    while (line_end := buffer.find(b"\r\n", place)) >= 0:
        size = int(buffer[place:line_end].split(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return bytes(body)
        body += buffer[start : start + size]
        place = start + size + 2
    return None


class _Stream(asyncio.Protocol):
    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = ReplyParser()
        self._reply: asyncio.Future[Reply] | None = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def has_begun(self) -> bool:
        return self._parser.has_begun

    def send(self, request: bytes) -> "asyncio.Future[Reply]":
        assert self._transport is not None
        self._parser = ReplyParser()
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._reply

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            return
        reply = self._parser.feed(data)
        if reply is not None:
            if self._parser.closes:
                self.close()
            self._reply.set_result(reply)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._reply is None or self._reply.done():
            return
        reply = self._parser.end()
        if reply is not None:
            self._reply.set_result(reply)
        else:
            self._reply.set_exception(ConnectionLost("the connection was closed before the reply"))


class Connection:
    """A connection to one port of this machine. It reconnects after the server has closed it."""

    def __init__(self, port: int, seconds: float = SECONDS) -> None:
        self.requests = 0
        self._port = port
        self._seconds = seconds
        self._stream: _Stream | None = None

    async def send(self, request: bytes) -> Reply:
        """Send a request and return its reply.

        Raises:
            ConnectionLost, OSError: the connection failed.
            TimeoutError: there was no reply within `seconds` of this connection.
        """
        self.requests += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(request)
        except TimeoutError:
            self.close()
            raise

    async def _exchange(self, request: bytes) -> Reply:
        stream, is_new = await self._open_stream()
        try:
            return await stream.send(request)
        except ConnectionLost:
            if is_new or stream.has_begun:
                raise
        # The server closed the idle connection before it read the request, so a repetition is safe.
        stream, _ = await self._open_stream()
        return await stream.send(request)

    async def _open_stream(self) -> tuple[_Stream, bool]:
        if self._stream is not None and self._stream.is_open:
            return self._stream, False
        loop = asyncio.get_running_loop()
        _, self._stream = await loop.create_connection(_Stream, "127.0.0.1", self._port)
        return self._stream, True

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode()


def post(path: str, body: bytes, headers: str = "") -> bytes:
    """A POST of a JSON body. Each line of `headers` ends with CRLF."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n{headers}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
