"""`python -m tests.siege.attacks NAME PORT SECONDS COUNT`: hold COUNT connections from one address, and print what came
of them as JSON.

Each attack opens a connection again one second after the server closed it.
"""

import asyncio
import contextlib
import json
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

# Another loopback address than that of the measured clients.
ADDRESS = "127.0.0.2"
# In bytes. The system doubles it; a window this small keeps a response in the server.
SMALL_WINDOW = 2048
REOPEN_SECONDS = 1.0
DRIP_SECONDS = 1.0


@dataclass
class Tally:
    opened: int = 0
    ended: int = 0
    held: list[float] = field(default_factory=list)

    def as_json(self) -> str:
        longest = max(self.held, default=0.0)
        return json.dumps({"opened": self.opened, "ended": self.ended, "longest": round(longest, 1)})


class Connection:
    def __init__(self, port: int, window: int | None = None) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if window:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)

    async def open(self) -> None:
        self._socket.bind((ADDRESS, 0))
        await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self._socket, data)

    async def read(self, most: int) -> bytes:
        """Read at most `most` bytes. Raises ConnectionError if the server has closed the connection."""
        if data := await self._loop.sock_recv(self._socket, most):
            return data
        raise ConnectionResetError

    async def until_closed(self) -> None:
        while True:
            await self.read(65536)

    def close(self) -> None:
        self._socket.close()


Attack = Callable[[Connection], Awaitable[None]]


async def silent(connection: Connection) -> None:
    await connection.until_closed()


async def slow_headers(connection: Connection) -> None:
    await connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    await _drip(connection, b"X-A: b\r\n")


async def slow_bodies(connection: Connection) -> None:
    await connection.send(
        b"POST /api/v1/models/probe/predictions/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000\r\n\r\n" + b" " * 500_000
    )
    await _drip(connection, b" ")


async def _drip(connection: Connection, data: bytes) -> None:
    reading = asyncio.ensure_future(connection.until_closed())
    try:
        while not reading.done():
            await connection.send(data)
            await asyncio.wait([reading], timeout=DRIP_SECONDS)
        await reading
    finally:
        reading.cancel()


async def small_windows(connection: Connection) -> None:
    """Reads a few bytes a second. It also sends, since unread data hides the end of the connection from a reader."""
    await connection.send(b"GET /static/siege.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while True:
        await connection.read(8)
        await asyncio.sleep(DRIP_SECONDS)
        await connection.send(b"\r\n")


async def stalled_readers(connection: Connection) -> None:
    """Reads nothing. It notices the end when it sends into a closed connection."""
    await connection.send(b"GET /static/siege.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
    while True:
        await asyncio.sleep(DRIP_SECONDS)
        await connection.send(b"\r\n")


async def http2_windows(connection: Connection) -> None:
    """HTTP/2 with prior knowledge and a window of one byte: 100 streams for pages."""
    settings = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00\x04" + (1).to_bytes(4, "big")
    await connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    headers = b"\x82\x86\x84\x41\x09localhost"  # GET, http, /, and the authority
    for number in range(1, 200, 2):
        frame = len(headers).to_bytes(3, "big") + b"\x01\x05" + number.to_bytes(4, "big")
        await connection.send(frame + headers)
    await connection.until_closed()


ATTACKS: Mapping[str, tuple[Attack, int, int | None]] = {
    "silent connections": (silent, 2300, None),
    "slow headers": (slow_headers, 500, None),
    "slow bodies": (slow_bodies, 150, None),
    "small windows": (small_windows, 200, SMALL_WINDOW),
    "stalled readers": (stalled_readers, 130, SMALL_WINDOW),
    "HTTP/2 windows": (http2_windows, 8, None),
}


async def run(name: str, port: int, seconds: float, count: int) -> Tally:
    attack, _, window = ATTACKS[name]
    tally = Tally()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(_hold(attack, port, window, tally) for _ in range(count)))
    return tally


async def _hold(attack: Attack, port: int, window: int | None, tally: Tally) -> None:
    while True:
        connection, begin = Connection(port, window), time.monotonic()
        try:
            await connection.open()
            tally.opened += 1
            await attack(connection)
        except OSError:
            tally.ended += 1
        finally:
            tally.held.append(time.monotonic() - begin)
            connection.close()
        await asyncio.sleep(REOPEN_SECONDS)


def main() -> None:
    name, port, seconds, count = sys.argv[1:]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(asyncio.run(run(name, int(port), float(seconds), int(count))).as_json())


if __name__ == "__main__":
    main()
