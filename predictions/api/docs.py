"""The documentation of the API: a page with tables of all operations. A button loads Swagger UI, which is large."""

from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

TITLES = {
    "predictions": gettext_lazy("Predictions"),
    "batches": gettext_lazy("Files"),
    "models": gettext_lazy("Models and tokens"),
}


# It may be compressed: it contains no text that another site chose, and Django masks its form token in each response.
@gzip_page
@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    groups = [{"tag": tag, "title": title, "operations": _operations()[tag]} for tag, title in TITLES.items()]
    return render(request, "api/docs.html", {"groups": groups})


@cache
def _operations() -> dict[str, list[dict[str, Any]]]:
    """The operations of each tag, in the order of their paths. They do not depend on the database."""
    document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    found: dict[str, list[dict[str, Any]]] = {tag: [] for tag in TITLES}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            found[said["tags"][0]].append({"method": method.upper(), "path": path, "summary": said["summary"]})
    return found
