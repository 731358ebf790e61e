"""A TCP proxy in front of a unix socket: it passes bytes on, passes them late, keeps them, or cuts the connections."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class Proxy:
    """Runs in a thread of its own. Whoever is connected when it is silenced notices only that nothing comes."""

    def __init__(self, upstream: Path) -> None:
        self.port = 0
        self.latency = 0.0
        self._upstream = upstream
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._flows.set()
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

    # --- Faults -------------------------------------------------------------------------------------------------------
    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Everything arrives so much later, in both directions."""
        self.latency = seconds
        yield
        self.latency = 0.0

    @contextmanager
    def silent(self) -> Iterator[None]:
        """A black hole: connections open, and nothing comes through."""
        self._do(self._flows.clear)
        yield
        self._do(self._flows.set)

    @contextmanager
    def cut(self) -> Iterator[None]:
        """All connections are reset, and new ones too."""
        self._is_cut = True
        self._do(self._abort_all)
        yield
        self._is_cut = False

    def _do(self, action: Callable[[], object]) -> None:
        """In the proxy's thread; done when this returns."""

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    # --- Connections --------------------------------------------------------------------------------------------------
    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._is_cut:
                return
            there_reader, there_writer = await asyncio.open_unix_connection(str(self._upstream))
            self._writers.add(there_writer)
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
            self._drop(there_writer)
        except OSError:
            pass
        finally:
            self._drop(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one end closes; then the other is closed too."""
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                if self.latency:
                    await asyncio.sleep(self.latency)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self._drop(writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        """Reset, not closed: the other side meets an error, not an end."""
        if not writer.transport.is_closing():
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        self._writers.discard(writer)

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            self._drop(writer)

    async def _end(self) -> None:
        assert self._server is not None
        self._server.close()
        self._flows.set()
        self._abort_all()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=5)


@contextmanager
def before(upstream: Path) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
