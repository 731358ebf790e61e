"""The language of each page: the reader's choice, or else the browser's most preferred one that is offered."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.formats import get_format
from django.utils.translation import gettext


class Languages:
    """Must come before every middleware that answers with a page of its own.

    Unlike Django's LocaleMiddleware, it leaves no language active in the thread, and only pages get a Vary header:
    static files, downloads and metrics are the same in every language.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        for language, _ in settings.LANGUAGES:  # reads the catalogues now, so that no page waits for them
            with translation.override(language):
                gettext("Yes")
                get_format("DECIMAL_SEPARATOR")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = self.get_response(request)
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and "Content-Language" not in response:  # otherwise the view chose a language without the cookie
            response["Content-Language"] = language
            patch_vary_headers(response, ["Accept-Language", "Cookie"])  # the choice is kept in a cookie
        return response
