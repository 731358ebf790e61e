"""gzip of pages without secrets.

BREACH guesses a secret of a page that also repeats what another site chose. So these alone are compressed: the pages of
models, which hold no secret but the token of their form, and that is masked anew in each response. Pages with results,
values, files, tokens or an account are not.
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
    """Not where the page holds the values of a prediction (`?from=`)."""
    zipped = gzip_page(view)

    @wraps(view)
    def chosen(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, *args, **kwargs) if "from" in request.GET else zipped(request, *args, **kwargs)

    return chosen
