"""A test client of the whole site (pages and API), which calls the ASGI handler as the web server does."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from project.server.dispatch import Site

Message = Mapping[str, Any]
SECONDS = 30.0
NONE: Mapping[str, str | None] = {}
# Prefixes of the names of the threads that answer requests or parts of requests.
ANSWERING = ("request", "stream", "api", "reading", "batcher")
# Database connections of threads that live longer than a `Door`.
_connections: list[BaseDatabaseWrapper] = []
GONE: Message = {"type": "http.disconnect"}


@dataclass
class Answer:
    """A response: the ASGI messages in the order in which the handler sent them."""

    messages: list[Message] = field(default_factory=list)

    @property
    def status_code(self) -> int:
        return self.messages[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case. If a header comes more than once, this is the last one."""
        return {name.decode(): value.decode("latin1") for name, value in self.messages[0]["headers"]}

    @property
    def cookies(self) -> list[str]:
        return [value.decode() for name, value in self.messages[0]["headers"] if name == b"set-cookie"]

    @property
    def content(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    def json(self) -> Any:
        return json.loads(self.content)


def _remember(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Connected when this module is imported: threads that all sites share may connect before the first `Door`."""
    thread = threading.current_thread().name
    if thread.startswith(ANSWERING) and not thread.startswith("request"):
        _connections.append(connection)


connection_created.connect(_remember)


class Body:
    """The ASGI messages that the client sends. `taken` counts the messages that the site has asked for."""

    def __init__(self, messages: Iterable[Message]) -> None:
        self._messages = iter(messages)
        self.taken = 0

    async def receive(self) -> Message:
        self.taken += 1
        if (message := next(self._messages, None)) is None:
            await asyncio.Event().wait()  # the client stays connected and sends nothing more
            raise AssertionError
        return message


def whole(body: bytes) -> Body:
    return Body([{"type": "http.request", "body": body, "more_body": False}])


def in_chunks(*chunks: bytes) -> Body:
    """A body in several messages. Only the last one has `more_body` false, as from a server that knows the end."""
    last = len(chunks) - 1
    return Body({"type": "http.request", "body": chunk, "more_body": n < last} for n, chunk in enumerate(chunks))


class Door:
    """The whole site on an event loop in a thread of its own. Call the methods from any other thread.

    Attributes:
        statements: the statements of all threads that answer requests.
    """

    def __init__(self, handler: Any = None) -> None:
        self.statements: list[str] = []
        self.handler = handler or Site()
        self._connections: list[BaseDatabaseWrapper] = []
        for connection in _connections:
            connection.execute_wrappers.append(self._note)
        connection_created.connect(self._keep)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="door")
        self._thread.start()

    # --- Asking -------------------------------------------------------------------------------------------------------
    def ask(self, method: str, address: str, body: bytes | Body = b"", **headers: str) -> Answer:
        return self.begin(method, address, body, **headers).result(SECONDS)

    def begin(self, method: str, address: str, body: bytes | Body = b"", **headers: str) -> "Future[Answer]":
        """Send a request without waiting for the answer. In `headers`, Accept_Language stands for Accept-Language."""
        return self.run(self._answer(scope_of(method, address, body, headers), body))

    def ask_at_once(self, asked: "Sequence[tuple[str, str, bytes, dict[str, str]]]") -> list[Answer]:
        """Send several requests in one iteration of the event loop, and wait for all answers."""

        async def together() -> list[Answer]:
            scopes = [(scope_of(method, path, body, headers), body) for method, path, body, headers in asked]
            return await asyncio.gather(*(self._answer(scope, body) for scope, body in scopes))

        return self.run(together()).result(SECONDS)

    def run(self, coroutine: "Coroutine[Any, Any, Any]") -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    async def _answer(self, scope: dict[str, Any], body: bytes | Body) -> Answer:
        answer = Answer()

        async def send(message: Message) -> None:
            answer.messages.append(message)

        receive: Callable[[], Awaitable[Message]] = (whole(body) if isinstance(body, bytes) else body).receive
        # Each request has a context of its own, as it has under the server.
        await asyncio.create_task(self.handler(scope, receive, send))
        return answer

    # --- Connections and clean-up -------------------------------------------------------------------------------------
    def _keep(self, connection: BaseDatabaseWrapper, **_: Any) -> None:
        thread = threading.current_thread().name
        if thread.startswith(ANSWERING):
            connection.execute_wrappers.append(self._note)
        if thread.startswith("request"):
            self._connections.append(connection)

    def _note(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.statements.append(sql)
        return execute(sql, params, many, context)

    def close(self) -> None:
        """End the event loop and the threads of the pages, then close the database connections of these threads."""
        self.run(self._cancel_all()).result(SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SECONDS)
        getattr(self.handler, "app", self.handler).pages.threads.shutdown()  # tracing wraps the site
        self.loop.close()
        connection_created.disconnect(self._keep)
        close_all(self._connections)

    async def _cancel_all(self) -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def open_door(handler: Any = None) -> Iterator[Door]:
    door = Door(handler)
    try:
        yield door
    finally:
        door.close()


def scope_of(
    method: str, address: str, body: bytes | Body = b"", headers: Mapping[str, str | None] = NONE
) -> dict[str, Any]:
    """The ASGI scope of a request, as the server builds it. A header with the value None is left out."""
    path, _, query = address.partition("?")
    said = {"host": "localhost", **({"content-length": str(len(body))} if isinstance(body, bytes) and body else {})}
    said |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode("latin1")) for name, value in said.items() if value is not None],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
        "extensions": {},
    }


def close_all(connections: list[BaseDatabaseWrapper]) -> None:
    for connection in connections:
        connection.inc_thread_sharing()
        connection.close()
