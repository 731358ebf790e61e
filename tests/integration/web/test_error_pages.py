"""Error pages are shown in each situation, and they reveal no internals."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from predictions.models import ModelVersion
from tests.integration.conftest import signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

SECRET = "/home/someone/secret"


@pytest.fixture
def away(db: None) -> Iterator[Callable[[], None]]:
    """A function that makes the database unavailable."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError(f"unable to open {SECRET}")

    with pytest.MonkeyPatch.context() as patch:
        yield lambda: patch.setattr(BaseDatabaseWrapper, "cursor", refuse)


@pytest.mark.parametrize(
    "address", ["/nothing/", "/models/nothing/", "/predictions/7/", f"/predictions/{uuid.uuid4()}/"]
)
def test_unknown_address_is_a_404_page(client: Client, db: None, address: str) -> None:
    response = client.get(address)

    assert response.status_code == 404
    assert "There is nothing at this address" in Page(response).text


def test_internal_error_is_a_500_page_without_its_text(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("predictions.web.views.catalogue.ModelPresenter", fail)
    client = Client(raise_request_exception=False)
    monkeypatch.setattr("predictions.models.RegisteredModel.objects.listed", lambda: [None])

    response = client.get("/")

    assert response.status_code == 500
    assert "Something went wrong on our side" in Page(response).text
    assert SECRET.encode() not in response.content
    assert b"Traceback" not in response.content


@pytest.mark.parametrize(
    "address",
    ["/", "/models/iris/", "/predictions/", f"/predictions/{uuid.uuid4()}/", "/monitor/", "/accounts/tokens/"],
)
@pytest.mark.parametrize("known", [True, False], ids=["signed-in", "visitor"])
def test_unreachable_database_is_503(owner: User, away: Callable[[], None], address: str, known: bool) -> None:
    client = signed_in(owner) if known else Client()
    client.raise_request_exception = False
    away()

    response = client.get(address)

    if not known and address in ("/monitor/", "/accounts/tokens/"):
        assert response.status_code == 302
        return
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "Back in a moment" in Page(response).text
    assert SECRET.encode() not in response.content


@pytest.mark.parametrize("address", ["models/", "models/iris/", "predictions/", f"predictions/{uuid.uuid4()}/"])
@pytest.mark.parametrize("known", [True, False], ids=["signed-in", "visitor"])
def test_unreachable_database_is_503_for_the_api_too(
    owner: User, away: Callable[[], None], address: str, known: bool
) -> None:
    client = signed_in(owner) if known else Client(REMOTE_ADDR="127.0.0.1")
    client.raise_request_exception = False
    away()

    response = client.get(f"/api/v1/{address}")

    assert (response.status_code, response["Content-Type"]) == (503, "application/problem+json")
    assert (response["Retry-After"], response.json()["code"]) == ("5", "database_away")
    assert SECRET.encode() not in response.content


def test_form_without_its_token_is_a_403_page(iris: ModelVersion) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post("/models/iris/predictions/", {})

    assert response.status_code == 403
    assert "The page was open too long" in Page(response).text


def test_form_with_its_token_is_read(iris: ModelVersion) -> None:
    client = Client(enforce_csrf_checks=True)
    values = Page(client.get("/models/iris/?example=1")).values()

    assert client.post("/models/iris/predictions/", values).status_code == 303


def test_foreign_host_is_a_400_page(client: Client, db: None) -> None:
    response = client.get("/", headers={"Host": "example.org"})

    assert response.status_code == 400
    assert "That request made no sense here" in Page(response).text


def test_pages_carry_headers_that_protect(client: Client, db: None) -> None:
    response = client.get("/")

    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert "unsafe" not in response["Content-Security-Policy"]
