"""Signing in, tokens, and the analysts' board."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.utils import timezone

from predictions.models import ApiToken, ModelVersion, RegisteredModel, State
from predictions.models.api_token import ApiTokenQuerySet
from predictions.monitoring import board
from tests.integration.conftest import make, signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

MODELS = "/api/v1/models/"


# --- Sign-in ----------------------------------------------------------------------------------------------------------
def test_sign_in_returns_to_the_requested_page(client: Client, owner: User) -> None:
    page = Page(client.get("/accounts/login/?next=/predictions/"))
    assert page.one("input", name="next")["value"] == "/predictions/"

    response = client.post(
        "/accounts/login/", {"username": "owner", "password": "secret-of-owner", "next": "/predictions/"}
    )

    assert (response.status_code, response["Location"]) == (302, "/predictions/")
    assert "owner" in Page(client.get("/")).text


def test_sign_in_never_leads_to_another_site(client: Client, owner: User) -> None:
    response = client.post(
        "/accounts/login/", {"username": "owner", "password": "secret-of-owner", "next": "//example.org/"}
    )

    assert response["Location"] == "/"


def test_sign_in_with_a_wrong_password_says_so(client: Client, owner: User) -> None:
    response = client.post("/accounts/login/", {"username": "owner", "password": "guess"})

    assert "You are not signed in" in Page(response).text
    assert "Please enter a correct username and password." in Page(response).text


def test_sign_out_needs_a_post(owner: User) -> None:
    client = signed_in(owner)

    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/").status_code == 302
    assert "Sign in" in Page(client.get("/")).text


def test_password_change_requires_the_old_password(owner: User) -> None:
    client, address = signed_in(owner), "/accounts/password_change/"
    new = {"new_password1": "quite-another-one", "new_password2": "quite-another-one"}
    assert "A new password" in Page(client.get(address)).text
    assert "was entered incorrectly" in Page(client.post(address, {"old_password": "guess", **new})).text

    response = client.post(address, {"old_password": "secret-of-owner", **new}, follow=True)

    assert "Your password is changed" in Page(response).text
    owner.refresh_from_db()
    assert owner.check_password("quite-another-one")


def test_password_reset_by_mail_does_not_exist(client: Client, db: None) -> None:
    """There is no mail server. The page would fail for people with an account only, and so reveal who has one."""
    assert client.get("/accounts/password_reset/").status_code == 404


# --- Tokens -----------------------------------------------------------------------------------------------------------
def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def private(settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = False


def token(user: User, **fields: Any) -> str:
    _, secret = ApiToken.objects.create(user=user, name="a program", **fields)
    return str(secret)


def test_token_is_shown_once_and_opens_the_api(owner: User, private: None) -> None:
    client = signed_in(owner)

    response = client.post("/accounts/tokens/", {"name": "a <b>program", "days": "30"}, follow=True)

    kept = ApiToken.objects.get()
    assert response.redirect_chain == [("/accounts/tokens/", 302)]
    secret = next(word for word in Page(response).text.split() if word.startswith("ft_") and word != kept.token_key)
    assert Client().get(MODELS, headers=bearer(secret)).status_code == 200
    assert kept.expiry
    assert timedelta(days=29) < kept.expiry - timezone.now() <= timedelta(days=30)
    again = client.get("/accounts/tokens/")
    assert secret not in again.content.decode()
    assert "a <b>program" in Page(again).text


def test_token_for_one_model_is_made_on_the_page(
    owner: User, registered: dict[str, RegisteredModel], private: None
) -> None:
    client = signed_in(owner)
    assert "All models" in Page(client.get("/accounts/tokens/")).text

    response = client.post("/accounts/tokens/", {"name": "a program", "days": "30", "model": "iris"}, follow=True)

    assert "Predict and read, iris only" in Page(response).text
    kept = ApiToken.objects.get()
    secret = next(word for word in Page(response).text.split() if word.startswith("ft_") and word != kept.token_key)
    reached = [Client().get(f"{MODELS}{name}/", headers=bearer(secret)).status_code for name in ("iris", "wine")]
    assert reached == [200, 403]


def test_token_for_a_model_that_is_not_there_is_not_made(owner: User) -> None:
    response = signed_in(owner).post("/accounts/tokens/", {"name": "a program", "days": "30", "model": "rose"})

    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_token_page_keeps_what_was_wrong(owner: User) -> None:
    response = signed_in(owner).post("/accounts/tokens/", {"name": "", "days": "7"})

    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_token_page_is_for_people_with_an_account(client: Client, db: None) -> None:
    assert client.get("/accounts/tokens/")["Location"] == "/accounts/login/?next=/accounts/tokens/"


def test_token_is_revoked_by_its_owner_only(owner: User, stranger: User, private: None) -> None:
    secret = token(owner)
    address = f"/accounts/tokens/{ApiToken.objects.get().token_key}/revoke/"

    for method in ("get", "post"):
        assert getattr(signed_in(stranger), method)(address).status_code == 404
    page = signed_in(owner).get(address)
    assert "Revoke “a program”?" in Page(page).text
    assert Client().get(MODELS, headers=bearer(secret)).status_code == 200
    assert signed_in(owner).post(address)["Location"] == "/accounts/tokens/"
    assert signed_in(owner).post(address).status_code == 404
    assert Client().get(MODELS, headers=bearer(secret)).status_code == 401


@pytest.mark.parametrize("public", [True, False])
@pytest.mark.parametrize("case", ["expired", "inactive", "mistyped", "empty", "latin", "spaces"])
def test_token_that_is_not_valid_is_401(owner: User, settings: Any, public: bool, case: str) -> None:
    settings.PUBLIC_PREDICTIONS = public
    secret = token(owner, expiry=timedelta(seconds=-1) if case == "expired" else timedelta(days=1))
    if case == "inactive":
        User.objects.update(is_active=False)
    said = {"mistyped": f"{secret}x", "empty": "", "latin": "\xff\xfe", "spaces": f"{secret[:9]} {secret[9:]}"}

    response = Client().get(MODELS, headers=bearer(said.get(case, secret)))

    assert (response.status_code, response["Content-Type"]) == (401, "application/problem+json")
    assert response["WWW-Authenticate"] == 'Bearer realm="foretell", error="invalid_token"'
    assert response.json()["code"] == "authentication_failed"


def test_other_authentication_scheme_is_401(client: Client, db: None, private: None) -> None:
    assert client.get(MODELS, headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_token_asks_in_its_owners_name(iris: ModelVersion, owner: User, stranger: User, private: None) -> None:
    response = Client().post(
        "/api/v1/models/iris/predictions/",
        '{"features": [1, 1, 1, 1]}',
        content_type="application/json",
        headers=bearer(token(owner)),
    )

    address = response.json()["urls"]["page"]
    assert response.status_code == 202
    assert [signed_in(user).get(address).status_code for user in (owner, stranger)] == [200, 404]


def test_use_of_a_token_is_noted_at_most_once_a_minute(owner: User) -> None:
    secret = token(owner)
    seen = []
    for _ in range(2):
        Client().get(MODELS, headers=bearer(secret))
        seen.append(ApiToken.objects.get().last_used_at)
    assert seen[0] is not None
    assert seen[0] == seen[1]

    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    Client().get(MODELS, headers=bearer(secret))
    assert ApiToken.objects.get().last_used_at >= seen[0]


def test_token_is_accepted_when_its_use_cannot_be_recorded(owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = token(owner)

    def locked(*_: Any, **__: Any) -> int:
        raise OperationalError("database is locked")

    monkeypatch.setattr(ApiTokenQuerySet, "update", locked)

    assert Client().get(MODELS, headers=bearer(secret)).status_code == 200


# --- The board --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["/monitor/", "/monitor/feed/"])
def test_board_is_for_analysts(client: Client, owner: User, analyst: User, address: str) -> None:
    assert client.get(address)["Location"] == f"/accounts/login/?next={address}"
    assert signed_in(owner).get(address).status_code == 403
    assert signed_in(analyst).get(address).status_code == 200


def feed(client: Client, address: str) -> tuple[dict[str, str], list[str], list[dict[str, str]]]:
    page = Page(client.get(address))
    rows = [a["href"] for a in page.all("a", class_="record-link")]
    return page.one("section", id="feed"), rows, page.all("tr", class_="is-new")


def test_feed_shows_the_newest_first_and_marks_what_is_new(iris: ModelVersion, analyst: User) -> None:
    client = signed_in(analyst)
    old = make(iris, State.SUCCEEDED, age=60)
    section, rows, _ = feed(client, "/monitor/")
    assert rows == [f"/predictions/{old.pk}/"]

    new = make(iris, State.FAILED, age=10)
    following, rows, marked = feed(client, section["hx-get"])

    assert rows == [f"/predictions/{new.pk}/", f"/predictions/{old.pk}/"]
    assert len(marked) == 1
    assert following["data-cursor"] != section["data-cursor"]
    last, _, marked = feed(client, following["hx-get"])
    assert marked == []
    assert last["data-cursor"] == following["data-cursor"]


def test_feed_is_filtered_by_model_and_state(
    registered: dict[str, RegisteredModel], iris: ModelVersion, analyst: User
) -> None:
    client = signed_in(analyst)
    succeeded, failed = make(iris, State.SUCCEEDED, age=9), make(iris, State.FAILED, age=8)

    assert feed(client, "/monitor/?model=iris&state=failed")[1] == [f"/predictions/{failed.pk}/"]
    assert feed(client, "/monitor/?model=wine")[1] == []
    both = [f"/predictions/{row.pk}/" for row in (failed, succeeded)]
    for query in ("model=iris", "state=x", "model=%00", "after=x&attempt=-1", "attempt=" + "9" * 5000):
        assert feed(client, f"/monitor/feed/?{query}")[1] == both
    kept = feed(client, "/monitor/?model=iris&state=failed")[0]["hx-get"]
    assert "model=iris" in kept
    assert "state=failed" in kept


def test_feed_shows_what_waits_first_the_oldest_on_top(iris: ModelVersion, analyst: User) -> None:
    ended = make(iris, State.SUCCEEDED, age=60)
    young, old = make(iris, age=1), make(iris, State.RUNNING, age=9)
    make(iris, caller="canary", source="canary")
    client = signed_in(analyst)

    assert feed(client, "/monitor/")[1] == [f"/predictions/{row.pk}/" for row in (old, young, ended)]
    assert feed(client, "/monitor/?state=queued")[1] == [f"/predictions/{young.pk}/"]


def tiles(client: Client, query: str = "") -> dict[str, str]:
    """The labels and counts of the tiles, as they follow each other in the text of the board."""
    page = client.get(f"/monitor/{query}").content.decode()
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", page))


def test_tiles_count_what_the_filters_let_through(
    registered: dict[str, RegisteredModel], iris: ModelVersion, analyst: User
) -> None:
    client = signed_in(analyst)
    for state in (State.QUEUED, State.RUNNING, State.SUCCEEDED, State.FAILED):
        make(iris, state)

    everything = tiles(client)
    assert {
        label: everything[label] for label in ("In the queue", "Being predicted", "Finished", "Failed")
    } == dict.fromkeys(("In the queue", "Being predicted", "Finished", "Failed"), "1")
    assert tiles(client, "?state=failed") == {"Failed": "1"}
    assert tiles(client, "?state=queued") == {"In the queue": "1"}
    assert set(tiles(client, "?model=wine").values()) == {"0"}
    assert "(model wine only)" in Page(client.get("/monitor/?model=wine")).text


@pytest.mark.parametrize(
    ("queued_for", "ended_before", "is_standstill"),
    [(60, None, True), (60, 60, True), (60, 5, False), (5, 60, False), (None, 60, False)],
)
def test_board_tells_a_standstill(
    iris: ModelVersion, analyst: User, queued_for: int | None, ended_before: int | None, is_standstill: bool
) -> None:
    if queued_for is not None:
        make(iris, age=queued_for)
    if ended_before is not None:
        make(iris, State.SUCCEEDED, age=ended_before + 1)

    text = Page(signed_in(analyst).get("/monitor/")).text

    assert ("Standstill: predictions wait and none moves." in text) == is_standstill


@pytest.mark.parametrize(
    ("sample", "said"), [(3, "Median time of the newest 3100 ms"), (4, "Median time30.1 s"), (5, "Median time30.1 s")]
)
def test_median_of_the_board_says_of_which_predictions_it_is(
    iris: ModelVersion, analyst: User, monkeypatch: pytest.MonkeyPatch, sample: int, said: str
) -> None:
    monkeypatch.setattr(board, "SAMPLE", sample)
    now = timezone.now()
    ends = [(120, timedelta(seconds=60))] * 2 + [(60, timedelta(milliseconds=100))] * 2
    for ago, took in ends:
        ended = now - timedelta(seconds=ago)
        make(iris, State.SUCCEEDED, created_at=ended - took, finished_at=ended)
    make(iris, State.FAILED)

    assert said in Page(signed_in(analyst).get("/monitor/")).text


def test_feed_stops_after_its_last_attempt(iris: ModelVersion, analyst: User) -> None:
    client = signed_in(analyst)

    assert "hx-get" in feed(client, "/monitor/feed/?attempt=299")[0]
    assert feed(client, "/monitor/feed/?attempt=300")[0].keys() & {"hx-get", "hx-trigger"} == set()


def test_feed_shows_answers_as_text(iris: ModelVersion, analyst: User) -> None:
    make(iris, State.SUCCEEDED, output={"kind": "classification", "label": "<script>x", "probabilities": None})

    assert b"<script>x" not in signed_in(analyst).get("/monitor/feed/").content
