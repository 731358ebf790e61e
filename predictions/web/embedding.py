"""Embedded pages: the headers that allow a frame, the URLs of their own, and the HTML to copy."""

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

# The height of the frame in pixels. It stays if the script that adapts the height does not run.
HEIGHT = 900


def framed(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Pass the embedding of the URL's key to the view, and let pages of its origin show the response in a frame.

    The wrapped view raises NotFound if the key is unknown or its embedding is no longer allowed. These views read no
    cookie and no session, so a forged request could do no more than a request of the attacker's own. Therefore no CSRF
    token is required, and none is set.
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
    """Answer in the language that the browser prefers. The language cookie of other pages is ignored."""
    without_cookies = HttpRequest()
    without_cookies.META["HTTP_ACCEPT_LANGUAGE"] = request.headers.get("Accept-Language", "")
    language = translation.get_language_from_request(without_cookies)
    with translation.override(language):
        response = answer()
    response["Content-Language"] = language
    patch_vary_headers(response, ["Accept-Language"])
    return response


class EmbeddedPresenter(PredictionPresenter):
    """A prediction at the URLs of its embedding. No viewer counts as its owner, so no viewer can cancel or rate it."""

    def __init__(self, embedding: Embedding, prediction: Prediction, attempt: int = 0, **waiting: Any) -> None:
        super().__init__(prediction, attempt, **waiting)
        place = [embedding.key, seal(embedding, prediction.pk)]
        status = reverse("embedded-status", args=place)
        self.url = reverse("embedded-result", args=place)
        self.status_url, self.check_url = f"{status}?attempt={self.next_attempt}", f"{status}?attempt=0"
        self.again_url = f"{reverse('embedded', args=[embedding.key])}?from={place[1]}"


class EmbeddingPresenter:
    """One embedding in a list, with the HTML to copy into the pages of its site."""

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
