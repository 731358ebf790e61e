"""The id of the current request. Imports nothing of the product, so every room may use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Set for each HTTP request by the web server, and for each notification that a worker handles.
request_id: ContextVar[str] = ContextVar("request_id", default="")


@contextmanager
def acting_for(id_of_request: str) -> Iterator[None]:
    """Log lines and Celery messages of this block carry that request id."""
    token = request_id.set(id_of_request)
    try:
        yield
    finally:
        request_id.reset(token)
