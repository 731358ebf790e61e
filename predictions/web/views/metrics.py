"""Metrics for Prometheus. If `METRICS_TOKEN` is set, a request needs it. Otherwise only this machine may read them, in
development."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from predictions.observability.metrics import exposition
from predictions.web.visitors import is_of_this_machine

TEXT = {"Content-Type": "text/plain; charset=utf-8"}


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    if settings.METRICS_TOKEN:
        if not _shows_token(request):
            refusal = "Show METRICS_TOKEN: Authorization: Bearer …\n"
            return HttpResponse(refusal, status=401, headers={**TEXT, "WWW-Authenticate": 'Bearer realm="foretell"'})
    elif not is_of_this_machine(request):
        raise Http404("METRICS_TOKEN is not set")
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def _shows_token(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() == "bearer" and constant_time_compare(token.strip(), settings.METRICS_TOKEN)
