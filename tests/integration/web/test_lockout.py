"""Guessing passwords locks the guesser out for a while, and no other user."""

from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.conf import settings as product
from django.contrib.auth.models import User

from predictions.models import ApiToken
from tests.integration.conftest import signed_in
from tests.integration.web.conftest import Page
from tests.support.site_client import Client

SIGN_IN = "/accounts/login/"
LIMIT = product.AXES_FAILURE_LIMIT
RIGHT = "secret-of-owner"


def sign_in(password: str, username: str = "owner", page: str = SIGN_IN, **meta: str) -> Any:
    """Sign in as from a new browser each time: no cookie says who guesses."""
    return Client(**meta).post(page, {"username": username, "password": password, "next": "/"})


def guess(count: int = LIMIT, **where: str) -> list[int]:
    return [sign_in(f"guess {number}", **where).status_code for number in range(count)]


@pytest.mark.parametrize("page", [SIGN_IN, "/admin/login/"])
def test_repeated_wrong_passwords_are_locked_out_with_a_remedy(owner: User, page: str) -> None:
    User.objects.update(is_staff=True)

    assert guess(page=page) == [200] * (LIMIT - 1) + [429]

    response = sign_in(RIGHT, page=page)
    assert (response.status_code, response["Retry-After"]) == (429, "900")
    text = Page(response).text
    assert "Too many wrong passwords" in text
    assert "for 15 minutes" in text
    assert "The operators of this service can unblock it sooner" in text
    assert b"guess" not in response.content


def test_sign_in_below_the_limit_of_failures_resets_the_count(owner: User) -> None:
    for _ in range(2):
        assert guess(LIMIT - 1) == [200] * (LIMIT - 1)
        assert sign_in(RIGHT).status_code == 302
    assert not AccessAttempt.objects.exists()
    assert not AccessLog.objects.exists()


def test_others_sign_in_from_the_same_address_and_the_same_person_from_another(owner: User, stranger: User) -> None:
    guess()

    assert sign_in("secret-of-stranger", "stranger").status_code == 302
    assert sign_in(RIGHT, REMOTE_ADDR="192.0.2.7").status_code == 302
    assert sign_in(RIGHT).status_code == 429


def test_another_browser_does_not_help(owner: User) -> None:
    for number in range(LIMIT):
        last = sign_in("guess", headers={"User-Agent": f"browser {number}"})  # type: ignore[arg-type]
    assert last.status_code == 429


def test_lock_opens_after_its_time_and_trying_meanwhile_does_not_prolong_it(owner: User) -> None:
    guess()
    before = AccessAttempt.objects.get().attempt_time
    assert sign_in("again").status_code == 429
    assert AccessAttempt.objects.get().attempt_time == before

    AccessAttempt.objects.update(attempt_time=before - product.AXES_COOLOFF_TIME)

    assert sign_in(RIGHT).status_code == 302


def test_unknown_account_is_locked_like_a_known_one(db: None) -> None:
    assert guess(username="nobody") == [200] * (LIMIT - 1) + [429]


@pytest.mark.parametrize("length", [150, 151, 256, 5000])
def test_name_of_any_length_is_counted(db: None, length: int) -> None:
    assert guess(username="n" * length) == [200] * (LIMIT - 1) + [429]


@pytest.fixture
def behind_proxy(settings: Any) -> None:
    settings.BEHIND_PROXY = True


def forwarded(address: str) -> dict[str, str]:
    return {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": address}


def test_behind_a_proxy_the_address_is_the_one_that_it_saw(owner: User, behind_proxy: None) -> None:
    guess(**forwarded("203.0.113.5"))

    assert sign_in(RIGHT, **forwarded("198.51.100.1, 203.0.113.5")).status_code == 429
    assert sign_in(RIGHT, **forwarded("203.0.113.5, 198.51.100.1")).status_code == 302


def test_forwarded_address_is_ignored_without_a_proxy(owner: User) -> None:
    for number in range(LIMIT):
        last = sign_in("guess", HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert last.status_code == 429


def test_ports_that_a_proxy_writes_do_not_part_attempts_of_one_address(owner: User, behind_proxy: None) -> None:
    for number in range(LIMIT):
        last = sign_in("guess", **forwarded(f"203.0.113.5:{4711 + number}"))

    assert last.status_code == 429
    assert sign_in(RIGHT, **forwarded("203.0.113.6:4711")).status_code == 302


def test_ipv6_addresses_of_one_network_are_locked_out_together(owner: User) -> None:
    for number in range(LIMIT):
        last = sign_in("guess", REMOTE_ADDR=f"2001:db8::{number + 1}")

    assert last.status_code == 429
    assert sign_in(RIGHT, REMOTE_ADDR="2001:db8:0:1::1").status_code == 302


@pytest.mark.parametrize("address", ["", "unix:", "a" * 300, "\xe9", "fe80::1%eth0"])
def test_invalid_client_address_is_accepted(owner: User, behind_proxy: None, address: str) -> None:
    assert guess(**forwarded(address)) == [200] * (LIMIT - 1) + [429]


# --- Changing the password --------------------------------------------------------------------------------------------
NEW = {"new_password1": "quite-another-one", "new_password2": "quite-another-one"}


def change_password(client: Any, old: str) -> int:
    status: int = client.post("/accounts/password_change/", {"old_password": old, **NEW}).status_code
    return status


def test_wrong_old_passwords_are_locked_out_like_sign_ins(owner: User) -> None:
    client = signed_in(owner)

    assert [change_password(client, f"guess {number}") for number in range(LIMIT)] == [200] * (LIMIT - 1) + [429]

    assert change_password(client, RIGHT) == 429
    assert sign_in(RIGHT).status_code == 429


def test_wrong_sign_ins_and_wrong_old_passwords_are_counted_together(owner: User) -> None:
    guess(LIMIT - 1)

    assert change_password(signed_in(owner), "guess") == 429


def test_right_old_password_resets_the_count(owner: User) -> None:
    client = signed_in(owner)
    for number in range(LIMIT - 1):
        change_password(client, f"guess {number}")

    assert change_password(client, RIGHT) == 302
    assert not AccessAttempt.objects.exists()


def test_passwords_of_a_refused_change_are_not_kept(owner: User) -> None:
    change_password(signed_in(owner), "guess")

    (kept,) = AccessAttempt.objects.values()
    assert not any(word in str(value) for value in kept.values() for word in ("guess", "another"))


def test_wrong_old_passwords_in_the_admin_are_counted(owner: User) -> None:
    User.objects.update(is_staff=True)
    client = signed_in(owner)

    for number in range(LIMIT):
        last = client.post("/admin/password_change/", {"old_password": f"guess {number}", **NEW})

    assert last.status_code == 429


def test_password_is_not_kept(owner: User) -> None:
    guess(1)

    kept = AccessAttempt.objects.values().get()
    assert kept["post_data"].splitlines()[1] == "password=********************"
    assert not any("guess" in str(value) for value in kept.values())


def test_wrong_tokens_lock_out_no_user(owner: User, settings: Any) -> None:
    settings.PUBLIC_PREDICTIONS = False
    _, secret = ApiToken.objects.create(user=owner, name="a program")
    guess()

    for number in range(2 * LIMIT):
        wrong = Client().get("/api/v1/models/", headers={"Authorization": f"Bearer ft_{number}"})
        assert wrong.status_code == 401
    assert Client().get("/api/v1/models/", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
