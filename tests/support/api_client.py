"""A synchronous client of the API's ASGI application, with the surface of Django's test client."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlencode

from django.contrib.auth.models import User
from django.http import SimpleCookie
from django.utils.datastructures import CaseInsensitiveMapping

from predictions.api.asgi import LAYERS, Application, takes
from predictions.api.http import Scope
from predictions.models import ApiToken
from tests.support.inline import run_until_done


class ApiResponse:
    def __init__(self, path: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.request = {"PATH_INFO": path}
        self.status_code = status
        self.headers = CaseInsensitiveMapping(headers)
        self.content = content
        self.cookies = SimpleCookie()

    def items(self) -> Any:
        return self.headers.items()

    def __getitem__(self, name: str) -> str:
        return str(self.headers[name])

    def __contains__(self, name: str) -> bool:
        return name in self.headers

    def get(self, name: str, default: str | None = None) -> str | None:
        return self.headers.get(name, default)

    def json(self) -> Any:
        return json.loads(self.content)

    def __repr__(self) -> str:
        return f"<ApiResponse {self.status_code} {self.content[:300]!r}>"


class ApiClient:
    """Sends `headers` with each request, and a token of `user` if there is one."""

    def __init__(
        self, user: User | None = None, layers: Any = LAYERS, address: str = "127.0.0.1", **headers: str
    ) -> None:
        self.application = Application(layers)
        self.address = address
        self.headers = dict(headers)
        if user is not None:
            self.authenticate(user)

    def authenticate(self, user: User) -> None:
        """Send a token of this user with each request from now on."""
        self.headers["Authorization"] = f"Bearer {ApiToken.objects.create(user=user, name='tests')[1]}"

    def get(self, path: str, query: Mapping[str, Any] | None = None, **options: Any) -> ApiResponse:
        return self.request("GET", f"{path}?{urlencode(query)}" if query else path, b"", **options)

    def post(self, path: str, body: Any = b"", content_type: str = "application/json", **options: Any) -> ApiResponse:
        return self.request("POST", path, body, content_type=content_type, **options)

    def head(self, path: str, **options: Any) -> ApiResponse:
        return self.request("HEAD", path, b"", **options)

    def patch(self, path: str, body: Any = b"", **options: Any) -> ApiResponse:
        return self.request("PATCH", path, body, **options)

    def put(self, path: str, body: Any = b"", **options: Any) -> ApiResponse:
        return self.request("PUT", path, body, **options)

    def delete(self, path: str, **options: Any) -> ApiResponse:
        return self.request("DELETE", path, b"", **options)

    def options(self, path: str, **options: Any) -> ApiResponse:
        return self.request("OPTIONS", path, b"", **options)

    def generic(self, method: str, path: str, body: Any = b"", content_type: str = "", **options: Any) -> ApiResponse:
        return self.request(method, path, body, content_type=content_type or None, **options)

    def request(
        self,
        method: str,
        path: str,
        body: Any = b"",
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
        **environ: Any,
    ) -> ApiResponse:
        path = path.removeprefix("http://testserver")
        content = _bytes_of(body)
        sent = {"Host": "testserver", **self.headers, **(headers or {})}
        sent |= {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
        if content_type is not None:
            sent["Content-Type"] = content_type
        if content:
            sent.setdefault("Content-Length", str(len(content)))
        scope = scope_of(method, path, sent)
        scope["client"] = (environ.get("REMOTE_ADDR", self.address), 50000)
        if environ.get("secure"):
            scope["scheme"] = "https"
        with ThreadPoolExecutor(1) as loop:
            answer: ApiResponse = run_until_done(loop.submit(asyncio.run, self._answer(scope, content)))
        return answer

    async def _answer(self, scope: Scope, content: bytes) -> ApiResponse:
        sent: list[Mapping[str, Any]] = []
        received = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receive() -> Mapping[str, Any]:
            if (message := next(received, None)) is None:
                await asyncio.Event().wait()  # the client stays connected
                raise AssertionError
            return message

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        headers = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return ApiResponse(
            scope["path"], sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])
        )


def _bytes_of(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def scope_of(method: str, address: str, headers: Mapping[str, str]) -> Scope:
    """The ASGI scope of a request, as the web server builds it."""
    path, _, query = address.partition("?")
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
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }


def client_for(address: str, of_pages: Any, user: User | None = None) -> Any:
    """The test client for an address: `of_pages` for a page, and for the API a client with a token of the user."""
    return ApiClient(user) if takes(address) else of_pages
