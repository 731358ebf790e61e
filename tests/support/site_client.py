"""Django's test client for the whole site: addresses of the API are asked of its ASGI application, as in service."""

from typing import Any

import django.test

from predictions.api.asgi import takes
from tests.support.api_client import ApiClient


class Client(django.test.Client):
    """Sends sessions and cookies to pages only, and headers to pages and to the API."""

    def generic(self, method: str, path: str, data: Any = "", content_type: Any = "", *args: Any, **kwargs: Any) -> Any:
        if not takes(path.partition("?")[0].removeprefix("http://testserver")):
            return super().generic(method, path, data, content_type, *args, **kwargs)
        headers = {
            key.removeprefix("HTTP_").replace("_", "-"): str(value)
            for source in (self.defaults, kwargs)
            for key, value in source.items()
            if key.startswith("HTTP_")
        }
        host = kwargs.get("SERVER_NAME") or self.defaults.get("SERVER_NAME")
        if host:
            headers.setdefault("Host", host)
        headers |= kwargs.get("headers") or {}
        if query := kwargs.get("QUERY_STRING"):
            path = f"{path}?{query}"
        address = kwargs.get("REMOTE_ADDR") or self.defaults.get("REMOTE_ADDR", "127.0.0.1")
        secure = kwargs.get("secure", bool(args and args[0]))
        return ApiClient(address=address).request(
            method, path, data, content_type=content_type or None, headers=headers, secure=secure
        )
