"""A TCP proxy in front of a unix socket that can delay data, hold it back, or reset connections."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Proxy:
    """The proxy runs in its own thread."""

    def __init__(self, upstream: Path) -> None:
        self.port = 0
        self.latency = 0.0
        self._upstream = upstream
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def start(self) -> None:
        self._thread.start()
        starting = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._accept, "127.0.0.1", 0), self._loop)
        self._server = starting.result(10)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # --- Faults ------------------------------------------------------------------------------------------------------
    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Delay all data in both directions by `seconds`."""
        self.latency = seconds
        try:
            yield
        finally:
            self.latency = 0.0

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Pass no data. Connections stay open, and new ones open too."""
        self._run(self._is_open.clear)
        try:
            yield
        finally:
            self._run(self._is_open.set)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Reset all connections, including new ones."""
        self._is_cut = True
        self._run(self._abort_all)
        try:
            yield
        finally:
            self._is_cut = False

    def _run(self, action: Callable[[], object]) -> None:
        """Run an action in the thread of the proxy, and wait for it."""

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    # --- Connections -------------------------------------------------------------------------------------------------
    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                return
            upstream_reader, upstream_writer = await asyncio.open_unix_connection(str(self._upstream))
            self._writers.add(upstream_writer)
            await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
            self._drop(upstream_writer)
        except OSError:
            pass
        finally:
            self._drop(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy data until one side closes; then close the other side."""
        try:
            while data := await reader.read(65_536):
                await self._is_open.wait()
                if self.latency:
                    await asyncio.sleep(self.latency)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._drop(writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        """Reset the connection, so that the other side gets an error instead of an end of data."""
        if not writer.transport.is_closing():
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        self._writers.discard(writer)

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            self._drop(writer)

    async def _end(self) -> None:
        assert self._server is not None
        self._is_open.set()
        self._is_cut = True
        # A connection that is being accepted starts another task, and may open another connection, meanwhile. The
        # server closes last: Python 3.11 never closes a connection that it accepts at that moment.
        async with asyncio.timeout(5):
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                self._abort_all()
                await asyncio.wait(others, timeout=0.05)
        self._server.close()
        await asyncio.sleep(0)  # the connections that were reset last are closed in the next turn of the loop


@contextmanager
def before(upstream: Path) -> Iterator[Proxy]:
    """A running proxy in front of a unix socket."""
    proxy = Proxy(upstream)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
