"""The page of the API for people lists what the OpenAPI document describes."""

import pytest

from tests.integration.web.conftest import Page
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db


def test_every_operation_of_the_document_is_in_a_table(client: Client) -> None:
    paths = client.get("/api/v1/schema/").json()["paths"]
    described = [
        f"{method.upper()} {path}{said['summary']}"
        for path, methods in paths.items()
        for method, said in methods.items()
    ]

    page = Page(client.get("/api/v1/docs/"))

    assert [one for one in described if one not in page.text] == []
    assert len(page.all("th", scope="row")) == len(described)
