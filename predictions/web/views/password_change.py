"""The page on which people change their password."""

from typing import Any

from axes.handlers.proxy import AxesProxyHandler
from django.contrib.auth import authenticate, views
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from predictions.web.visitors import counted_address_of


class CountedPasswordChangeForm(PasswordChangeForm):
    """Counts a wrong old password as a failed sign-in: after too many the account is locked for this address."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        name, old_password = self.user.get_username(), str(self.cleaned_data["old_password"])
        if authenticate(self.request, username=name, password=old_password) is None:
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        AxesProxyHandler.reset_attempts(username=name, ip_address=counted_address_of(self.request))
        return old_password


class PasswordChangeView(views.PasswordChangeView):
    form_class = CountedPasswordChangeForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}
