"""Ownership of results: claimed at sign-in, private to the owner, shown to others by a view-only link."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from predictions.models import BatchJob, Feedback, ModelVersion, Prediction, State
from predictions.use_cases.callers import key_of
from tests.integration.conftest import make, signed_in
from tests.integration.web.conftest import Page
from tests.support.files import make_job
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db(transaction=True)


# --- Claims -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def asked(client: Client, iris: ModelVersion) -> Prediction:
    """A result that `client` asked for without an account, and gave feedback on."""
    values = Page(client.get("/models/iris/?example=1")).values()
    client.post("/models/iris/predictions/", values)
    row = Prediction.objects.get()
    Prediction.objects.filter(pk=row.pk).update(
        state=State.SUCCEEDED, output={"kind": "classification", "label": "setosa"}
    )
    client.post(f"/predictions/{row.pk}/feedback/", {"was_right": "yes"})
    return row


def sign_in(client: Client) -> Page:
    return Page(
        client.post(
            "/accounts/login/",
            {"username": "owner", "password": "secret-of-owner", "next": "/predictions/"},
            follow=True,
        )
    )


def test_sign_in_claims_what_the_browser_asked(
    client: Client, asked: Prediction, owner: User, iris: ModelVersion
) -> None:
    job = make_job(iris, caller=asked.caller)
    elsewhere = make(iris, State.SUCCEEDED)

    page = sign_in(client)

    assert "The 2 results that this browser asked without an account are yours now." in page.text
    assert [link["href"] for link in page.all("a", class_="record-link")] == [f"/predictions/{asked.pk}/"]
    row = Prediction.objects.get(pk=asked.pk)
    assert (row.owner, row.caller) == (owner, key_of(owner))
    assert BatchJob.objects.get(pk=job.pk).owner == owner
    assert Prediction.objects.get(pk=elsewhere.pk).owner is None
    assert Client().get(f"/predictions/{asked.pk}/").status_code == 404
    assert "You said: it was right" in Page(client.get(f"/predictions/{asked.pk}/")).text
    assert Feedback.objects.get().caller == key_of(owner)


def test_next_visitor_of_the_browser_finds_nothing(client: Client, asked: Prediction, owner: User) -> None:
    sign_in(client)
    client.post("/accounts/logout/")

    assert Page(client.get("/predictions/")).all("a", class_="record-link") == []


def test_sign_in_without_earlier_results_says_nothing_of_them(client: Client, owner: User, iris: ModelVersion) -> None:
    client.get("/models/iris/")

    assert "without an account" not in sign_in(client).text


def test_refused_sign_in_claims_nothing(client: Client, asked: Prediction, owner: User) -> None:
    client.post("/accounts/login/", {"username": "owner", "password": "guess"})

    assert Prediction.objects.get(pk=asked.pk).owner is None


# --- View-only links --------------------------------------------------------------------------------------------------
@pytest.fixture
def own(iris: ModelVersion, owner: User) -> Prediction:
    return make(iris, State.SUCCEEDED, owner=owner, caller=key_of(owner))


def link_of(owner: User, row: Prediction) -> str:
    page = Page(signed_in(owner).get(f"/predictions/{row.pk}/"))
    return next(a["href"] for a in page.all("a") if a.get("href", "").startswith("/shared/"))


def test_view_only_link_shows_answer_and_values_and_nothing_to_press(own: Prediction, owner: User) -> None:
    page = Page(Client().get(link_of(owner, own)))

    assert "setosa" in page.text
    assert "Sepal length5.1 cm" in page.text.replace("length 5.1", "length5.1")
    assert {form["action"] for form in page.all("form")} <= {"/accounts/logout/", "/language/"}
    assert [a["href"] for a in page.all("a") if str(own.pk) in a.get("href", "")] == []
    assert "hx-get" not in str(page.elements)


def test_view_only_link_opens_nothing_else(own: Prediction, owner: User) -> None:
    link_of(owner, own)

    for end in ("", "csv/", "explanation/", "status/"):
        assert Client().get(f"/predictions/{own.pk}/{end}").status_code == 404


def test_view_only_link_ends_after_its_time(own: Prediction, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    link = link_of(owner, own)
    monkeypatch.setattr("predictions.use_cases.sharing.LASTS", timedelta(seconds=-1))

    assert Client().get(link).status_code == 404


def test_view_only_link_ends_with_the_password(own: Prediction, owner: User) -> None:
    link = link_of(owner, own)
    assert Client().get(link).status_code == 200

    owner.set_password("another-secret")
    owner.save()

    assert Client().get(link).status_code == 404


@pytest.mark.parametrize("change", [lambda link: link[:-3] + "xx/", lambda _: "/shared/x/", lambda _: "/shared/%00/"])
def test_changed_link_is_not_found(own: Prediction, owner: User, change: Any) -> None:
    assert Client().get(change(link_of(owner, own))).status_code == 404


def test_link_of_one_result_does_not_open_another(own: Prediction, owner: User, iris: ModelVersion) -> None:
    other = make(iris, State.SUCCEEDED, owner=owner, caller=key_of(owner))
    link = link_of(owner, own).replace(own.pk.hex, other.pk.hex)

    assert Client().get(link).status_code == 404


def test_result_without_an_owner_has_no_view_only_link(client: Client, asked: Prediction) -> None:
    assert "View-only link" not in Page(client.get(f"/predictions/{asked.pk}/")).text


# --- Compression ------------------------------------------------------------------------------------------------------
GZIP = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize("address", ["", "card/", "versions/", "api/"])
def test_pages_of_models_are_compressed(client: Client, iris: ModelVersion, address: str) -> None:
    response = client.get(f"/models/iris/{address}", headers=GZIP)

    assert response["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in response["Vary"]


def test_pages_with_values_or_secrets_are_not_compressed(own: Prediction, owner: User) -> None:
    mine = signed_in(owner)
    pages = [
        f"/predictions/{own.pk}/", "/predictions/", f"/models/iris/?from={own.pk}", "/accounts/tokens/", "/accounts/",
        link_of(owner, own),
    ]  # fmt: skip

    assert [mine.get(page, headers=GZIP).get("Content-Encoding") for page in pages] == [None] * len(pages)
