"""What is said when something fails that nobody foresaw. Django has logged it; nothing of it is told."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from predictions.api.problems import MEDIA_TYPE

SORRY = "Something went wrong here. It has been noted."


def failed(request: HttpRequest) -> HttpResponse:
    """500 in the words of each door."""
    if request.path_info.startswith("/api/"):
        body = {"type": "about:blank", "title": "Internal Server Error", "status": 500, "code": "internal_error"}
        return JsonResponse({**body, "detail": SORRY}, status=500, content_type=MEDIA_TYPE)
    if request.path_info.startswith("/v2"):
        return JsonResponse({"error": SORRY}, status=500)
    return HttpResponse(render_to_string("500.html"), status=500)
