"""The language of each page: what the reader chose, else the first language of the browser that is offered."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.formats import get_format
from django.utils.translation import gettext


class Languages:
    """Stands before every middleware that answers with a page of its own.

    Unlike Django's LocaleMiddleware it leaves no language behind in the thread, and only pages say that they vary:
    static files, downloads and metrics are alike in every language.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        for language, _ in settings.LANGUAGES:  # the catalogues are read here, so that no page waits for it
            with translation.override(language):
                gettext("Yes")
                get_format("DECIMAL_SEPARATOR")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and "Content-Language" not in response:  # else the view has chosen it without the cookie
            response["Content-Language"] = language
            patch_vary_headers(response, ["Accept-Language", "Cookie"])  # the choice is kept in a cookie
        return response
