"""What embedded pages need besides the ordinary ones: a frame's headers, other addresses, the HTML to copy."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.html import format_html
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt

from predictions.models import Embedding, Prediction
from predictions.use_cases.embeddings import find_embedding, seal
from predictions.web.presenters import PredictionPresenter

# Without the script for the height, the frame keeps this one.
HEIGHT = 900


def framed(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Give the view the embedding of its address, and let the embedding's origin show the answer in a frame.

    These views read no cookie and no session, so a forged request could do no more than the forger's own: no token
    against forgery is asked for, and none is set.
    """

    @csrf_exempt
    @wraps(view)
    def of_key(request: HttpRequest, key: str, **kwargs: Any) -> HttpResponseBase:
        embedding = find_embedding(key)

        def answer(request: HttpRequest) -> HttpResponse:
            return in_language_of_browser(request, partial(view, request, embedding, **kwargs))

        return xframe_options_exempt(csp_replace({"frame-ancestors": [embedding.origin]})(answer))(request)

    return of_key


def in_language_of_browser(request: HttpRequest, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """The choice that other pages keep in a cookie does not count here."""
    without_cookies = HttpRequest()
    without_cookies.META["HTTP_ACCEPT_LANGUAGE"] = request.headers.get("Accept-Language", "")
    language = translation.get_language_from_request(without_cookies)
    with translation.override(language):
        response = answer()
    response["Content-Language"] = language
    patch_vary_headers(response, ["Accept-Language"])
    return response


class EmbeddedPresenter(PredictionPresenter):
    """A prediction at the addresses of its embedding. Nobody is its asker there: nothing can be canceled or rated."""

    def __init__(self, embedding: Embedding, prediction: Prediction, attempt: int = 0, **waiting: Any) -> None:
        super().__init__(prediction, attempt, **waiting)
        place = [embedding.key, seal(embedding, prediction.pk)]
        status = reverse("embedded-status", args=place)
        self.url = reverse("embedded-result", args=place)
        self.status_url, self.check_url = f"{status}?attempt={self.next_attempt}", f"{status}?attempt=0"
        self.again_url = f"{reverse('embedded', args=[embedding.key])}?from={place[1]}"


class EmbeddingPresenter:
    """One embedding in a list, with the HTML that its site's pages hold."""

    def __init__(self, embedding: Embedding, request: HttpRequest) -> None:
        self.key, self.origin, self.made_by = embedding.key, embedding.origin, embedding.user.get_username()
        self.created_at = embedding.created_at
        self.snippet = format_html(
            '<iframe src="{}" title="{}" width="100%" height="{}" frameborder="0" loading="lazy"></iframe>\n'
            '<script src="{}" async></script>',
            request.build_absolute_uri(reverse("embedded", args=[embedding.key])),
            embedding.registered_model.title,
            HEIGHT,
            request.build_absolute_uri(reverse("embed-height")),
        )
