"""gzip for pages without secrets.

The BREACH attack recovers a secret from a compressed page that also repeats text chosen by the attacker. Therefore only
the pages of models are compressed. Their only secret is the CSRF token of the form, and Django masks that token anew in
each response. Pages with results, values, files, API tokens or account data are not compressed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.gzip import gzip_page

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def compressed(view: View[P]) -> View[P]:
    """Compress the responses of a view, except a page with the values of a prediction (`?from=`)."""
    zipped = gzip_page(view)

    @wraps(view)
    def chosen(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, *args, **kwargs) if "from" in request.GET else zipped(request, *args, **kwargs)

    return chosen
