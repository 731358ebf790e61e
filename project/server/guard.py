"""HTTP/1.1 connections with bounds: how long a client may take, and how many connections an address may have.

uvicorn bounds only the time between two requests of a connection. Each bound here ends the connection: a client that
is so slow has no use for a response, and a connection that stays open costs memory and a descriptor.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from predictions.use_cases.addresses import counted_as

# A client must send the headers of a request within this time, counted from the connection or their first byte.
HEADER_SECONDS = 10.0
HEADER_BYTES = 64 * 1024
# A body may take this long, and longer only while it arrives at this rate.
BODY_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 8 * 1024
# Incomplete bodies that one address may have at one time. Each may take up to a mebibyte of memory.
BODIES_PER_ADDRESS = 64
# The connection of a client that reads nothing of a response for this long is ended.
SEND_SECONDS = 20.0

BUSY = b"""HTTP/1.1 503 Service Unavailable\r
content-type: text/plain; charset=utf-8\r
content-length: 67\r
retry-after: 5\r
connection: close\r
\r
Too many connections from your address. Close some, then try again."""


class Awaited(Enum):
    """The part of a request that the server waits for."""

    HEADERS = auto()
    BODY = auto()
    NOTHING = auto()


@dataclass
class Addresses:
    """The connections and incomplete bodies of each address. The addresses of an IPv6 /64 network count as one address.

    `most` is the limit of connections per address; None for no limit, for example if all connections are of a proxy.
    """

    most: int | None
    connections: Counter[str] = field(default_factory=Counter)
    bodies: Counter[str] = field(default_factory=Counter)

    def is_full(self, address: str) -> bool:
        return self.most is not None and self.connections[address] > self.most

    def has_too_many_bodies(self, address: str) -> bool:
        return self.most is not None and self.bodies[address] > BODIES_PER_ADDRESS


class GuardedProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection within these limits."""

    def __init__(self, addresses: Addresses, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._addresses = addresses
        self._address = ""
        self._awaited, self._received = Awaited.HEADERS, 0
        self._since = self._drained_at = time.monotonic()

    # --- asyncio ------------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = counted_as(self.client[0] if self.client else "") or ""
        self._addresses.connections[self._address] += 1
        if self._addresses.is_full(self._address):
            self._refuse()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(Awaited.NOTHING)
        _decrease(self._addresses.connections, self._address)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._awaited is Awaited.HEADERS:
            self._received += len(data)
            if self._received > HEADER_BYTES:
                self.transport.abort()

    def resume_writing(self) -> None:
        self._drained_at = time.monotonic()
        super().resume_writing()

    # --- The parser ---------------------------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        self._await(Awaited.HEADERS)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._await(Awaited.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._await(Awaited.NOTHING)
        super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._received += len(body)
        if self._addresses.has_too_many_bodies(self._address):
            self._refuse()

    # --- Bounds -------------------------------------------------------------------------------------------------------
    def end_if_too_slow(self, now: float) -> None:
        if self._is_slow_to_send(now) or self._is_slow_to_receive(now):
            self.transport.abort()

    def _is_slow_to_send(self, now: float) -> bool:
        seconds = now - self._since
        if self._awaited is Awaited.HEADERS:
            return seconds > HEADER_SECONDS
        if self._awaited is Awaited.BODY and not self.flow.read_paused:
            return self._received < (seconds - BODY_SECONDS) * BODY_BYTES_PER_SECOND
        return False

    def _is_slow_to_receive(self, now: float) -> bool:
        if self.transport.get_write_buffer_size() == 0:
            self._drained_at = now
        return now - self._drained_at > SEND_SECONDS

    def _await(self, awaited: Awaited) -> None:
        if self._awaited is Awaited.BODY:
            _decrease(self._addresses.bodies, self._address)
        if awaited is Awaited.BODY:
            self._addresses.bodies[self._address] += 1
        self._awaited, self._since, self._received = awaited, time.monotonic(), 0

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(BUSY)
            self.transport.close()


def _decrease(counts: "Counter[str]", address: str) -> None:
    counts[address] -= 1
    if not counts[address]:
        del counts[address]


def end_slow(connections: Iterable[asyncio.Protocol]) -> None:
    """End the connections of clients that are too slow. Call it about once a second."""
    now = time.monotonic()
    for connection in list(connections):
        cast(GuardedProtocol, connection).end_if_too_slow(now)
