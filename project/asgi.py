"""What the web server calls. A request is answered on the event loop if that can be, otherwise in a thread."""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import response_for_exception
from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware
from django.urls import set_script_prefix

from predictions.api.express import Express
from project import request_ids, telemetry
from project.logs import request_id

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Handler(ASGIHandler):
    """Django's handler for ASGI, except for one thing: a request passes the middleware and its view in one thread.

    As under WSGI, then, a thread keeps its database connection.
    """

    def __init__(self, threads: int) -> None:
        BaseHandler.__init__(self)
        self.load_middleware()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="request")
        self._security = SecurityMiddleware(lambda request: None)  # type: ignore[arg-type,return-value]
        self._express: Express | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _body(scope, receive)
        if body is None:
            return
        response = await self._at_once(scope, body)
        if response is None:
            loop = asyncio.get_running_loop()

            def tell(message: Message) -> None:
                asyncio.run_coroutine_threadsafe(send(message), loop).result()  # type: ignore[arg-type]

            response = await loop.run_in_executor(self._threads, self._in_thread, scope, body, tell)
        if not response.streaming:
            await send(_head(response))
            await send({"type": "http.response.body", "body": response.content})

    def _in_thread(self, scope: Message, body: bytes, tell: Callable[[Message], None]) -> HttpResponseBase:
        """A response that streams has been sent when this returns, since what it streams may need the thread."""
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, io.BytesIO(body))
        response = refusal or self.get_response(request)
        try:
            if response.streaming:
                if isinstance(response, FileResponse):
                    response.block_size = self.chunk_size
                tell(_head(response))
                for chunk in response:
                    tell({"type": "http.response.body", "body": chunk, "more_body": True})
                tell({"type": "http.response.body"})
        finally:
            response.close()
        return response

    async def _at_once(self, scope: Message, body: bytes) -> HttpResponseBase | None:
        """The answer, if it takes no thread of its own."""
        if self._express is None:
            self._express = Express()
        if not self._express.takes(scope["path"]):
            return None
        request, _ = self.create_request(scope, io.BytesIO(body))
        if request is None:
            return None
        name = request_ids.name_of(request)
        request_id.set(name)
        try:
            response = await self._express.answer(request, name)
        except Exception as error:  # noqa: BLE001 - Django logs it and says that something went wrong
            response = response_for_exception(request, error)
        if response is None:
            return None
        response[request_ids.HEADER] = name
        return self._security.process_response(request, response)


async def _body(scope: Message, receive: Receive) -> bytes | None:
    """None if the client has gone. No more is read than may come: whatever is longer is refused by its length.

    A body that comes in chunks, without a length, is given its length; Django would take it for empty.
    """
    most, declared = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, dict(scope["headers"]).get(b"content-length")
    if declared is not None and int(declared) > most:
        return b""
    body = bytearray()
    more = True
    while more and len(body) <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if declared is None and body:
        scope["headers"] = [*scope["headers"], (b"content-length", str(len(body)).encode())]
    return bytes(body)


def _head(response: HttpResponseBase) -> Message:
    headers = [(name.lower().encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [(b"set-cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}


telemetry.start("web")  # before the handler: tracing puts a middleware into it
application = Handler(settings.ENV.web_threads)
