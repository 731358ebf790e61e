"""A changed password ends the tokens of its user."""

from django.contrib.auth.models import User
from django.utils.translation import gettext

from predictions.models import ApiToken


class EndTokens:
    """Django's hook for every change of a password: by the user, by an administrator, or by a command.

    It is one of AUTH_PASSWORD_VALIDATORS, but accepts every password.
    """

    def validate(self, password: str, user: User | None = None) -> None:
        return

    def get_help_text(self) -> str:
        return gettext("A new password ends all API tokens of the account.")

    def password_changed(self, password: str, user: User) -> None:
        """Django calls this after the change is saved, but not when it only renews the hash of the same password."""
        ApiToken.objects.of(user).delete()
