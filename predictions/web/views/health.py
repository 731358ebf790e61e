"""Health checks for supervisors and load balancers: `live` for this process, `ready` for predictions."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.observability import health


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    found = health.recent()
    return JsonResponse(found.as_json(), status=200 if found.is_ready else 503)
