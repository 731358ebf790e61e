"""A request of the API as an operation sees it."""

from predictions.api.http import ApiRequest
from tests.support.api_client import scope_of


def api_request(body: bytes = b"", **headers: str) -> ApiRequest:
    """A POST request. In `headers`, `Accept_Language` stands for Accept-Language."""
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return ApiRequest(scope_of("POST", "/", named), "POST", "/", named, body, False, "127.0.0.1")
