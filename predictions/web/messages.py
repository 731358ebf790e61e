"""Messages for the next page. They are stored in a cookie, or in the session if they do not fit."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage
from django.http.response import HttpResponseBase


class OwnPath(CookieStorage):
    """A cookie for the path of this site only (`SESSION_COOKIE_PATH`). Django's own cookie is for the whole host."""

    def _update_cookie(self, encoded_data: str, response: HttpResponseBase) -> None:
        super()._update_cookie(encoded_data, response)  # type: ignore[misc]  # the stubs do not have it
        if self.cookie_name in response.cookies:
            response.cookies[self.cookie_name]["path"] = settings.SESSION_COOKIE_PATH


class Messages(FallbackStorage):
    storage_classes = (OwnPath, SessionStorage)
