"""Two versions of iris: the first serves, the second answers the same."""

import pytest
from django.contrib.auth.models import Permission, User

from tests.integration.conftest import signed_in
from tests.support.site_client import Client


@pytest.fixture
def operator(db: None) -> Client:
    user = User.objects.create_user("olga", password="secret-of-olga")
    for permission in ("operate_models", "view_monitor"):
        user.user_permissions.add(Permission.objects.get(codename=permission))
    return signed_in(user)
