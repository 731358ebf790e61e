"""Fixtures of the unit tests of pages."""

import pytest
from django.utils.formats import get_format
from django.utils.translation import gettext


@pytest.fixture(scope="session", autouse=True)
def _catalogues_are_read() -> None:
    """Read the catalogues before the tests: that takes longer than Hypothesis allows for one example."""
    gettext("Yes")
    get_format("DECIMAL_SEPARATOR")
