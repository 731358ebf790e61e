"""A request id for each request of a page, in its log lines and in its response. The API has a layer for the same."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from predictions.api.layers import REQUEST_ID, request_id_for
from predictions.context import request_id


class RequestIds:
    """The id stays set until the thread's next request, because Django logs a refusal only after all middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = request_id_for(request.META.get("HTTP_X_REQUEST_ID", ""))
        request_id.set(name)
        response = self.get_response(request)
        response[REQUEST_ID] = name
        return response
