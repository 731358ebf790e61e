"""Bodies that come in chunks, without a length: Django would take them for empty."""

import io
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Measured:
    """Around the WSGI application: gives such a body its length.

    No more is read than may come, so whatever is longer is too large by its length.
    """

    def __init__(self, application: Wsgi) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ and not environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return self.application(environ, start_response)
