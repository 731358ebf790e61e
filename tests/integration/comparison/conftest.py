"""Two versions of iris: the first serves, the second answers the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User

from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel
from tests.integration.conftest import signed_in
from tests.support.site_client import Client
from tests.support.versions import add_version


@pytest.fixture
def second(
    registered: dict[str, RegisteredModel], models_dir: Path, trained_models: Path
) -> Iterator[tuple[ModelVersion, ModelVersion]]:
    """Version 1 of iris, which serves, and version 2, which answers the same."""
    add_version(models_dir)
    assert registry.sync(models_dir) == []
    first, other = ModelVersion.objects.filter(registered_model__name="iris").order_by("number")
    try:
        yield first, other
    finally:
        shutil.rmtree(models_dir / "iris")
        shutil.copytree(trained_models / "iris", models_dir / "iris")


@pytest.fixture
def operator(db: None) -> Client:
    user = User.objects.create_user("olga", password="secret-of-olga")
    for permission in ("operate_models", "view_monitor"):
        user.user_permissions.add(Permission.objects.get(codename=permission))
    return signed_in(user)
