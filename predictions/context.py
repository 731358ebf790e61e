"""The id of the current request. This module imports nothing of the product, so every package may import it."""

from contextvars import ContextVar

# Set for each HTTP request by the web server, and for each notification that a worker handles.
request_id: ContextVar[str] = ContextVar("request_id", default="")
