"""The health check of predictions, for load balancers. `predictions.api.health` has the health check of the process."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.observability import health


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    found = health.recent()
    return JsonResponse(found.as_json(), status=200 if found.is_ready else 503)
