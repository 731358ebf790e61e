"""The choice of a language, from the footer of every page."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language


# There is no CSRF token, so that the footer of every page can have the form and no page needs a cookie for it. A forged
# request could change the language of the pages, and nothing else.
@csrf_exempt
def choose(request: HttpRequest) -> HttpResponseBase:
    """Set the language. If the browser sends no referrer, Django's view redirects to `/`, which may belong to another
    site under a path prefix. This view redirects to the home page instead."""
    response = set_language(request)
    if response.get("Location") == "/":
        response["Location"] = reverse("home")
    return response
