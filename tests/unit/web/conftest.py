"""What the unit tests of pages share."""

import pytest
from django.utils.formats import get_format
from django.utils.translation import gettext


@pytest.fixture(scope="session", autouse=True)
def _catalogues_are_read() -> None:
    """Reading them takes longer than hypothesis allows one example."""
    gettext("Yes")
    get_format("DECIMAL_SEPARATOR")
