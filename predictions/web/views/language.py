"""The choice of a language, from the footer of every page."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.i18n import set_language


# Without a token, so that the footer of every page can have the form and no page needs a cookie for it. A forged
# request changes the language of a page and nothing else.
@csrf_exempt
def choose(request: HttpRequest) -> HttpResponseBase:
    """Django's view leads a browser that hides the page it comes from to `/`, which may be another site's page."""
    response = set_language(request)
    if response.get("Location") == "/":
        response["Location"] = reverse("home")
    return response
