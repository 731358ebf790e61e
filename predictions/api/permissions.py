from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:  # the framework's views import this module while they are being imported
    from rest_framework.views import APIView


class MayPredict(BasePermission):
    """Signed in, or anybody where predictions are public."""

    message = "Sign in, or send a token: Authorization: Bearer …"

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return settings.PUBLIC_PREDICTIONS or bool(request.user and request.user.is_authenticated)
