"""Promotions and rollbacks on the page, under load: no request fails, each answer is of the version that it names."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.multiplying import multiplying
from tests.support.stack import Stack
from tests.support.waiting import wait_until

CLIENTS = 32
CHANGES = 20
SECONDS = 60
# Version n answers (n + 1) * x.
FACTORS = {1: 2.0, 2: 3.0}
OPERATOR = """
from django.contrib.auth.models import Group, User
User.objects.create_user("olga", password="secret-of-olga").groups.add(Group.objects.get(name="operators"))
"""


@pytest.fixture
def switched(stack: Stack, tmp_path: Path) -> Stack:
    """The stack with a model of two versions, which give different answers, and an operator."""
    stack.manage_all(*multiplying(tmp_path, "switched", list(FACTORS.values())))
    stack.manage("shell", "-c", OPERATOR)
    return stack


class Load:
    """Clients that send requests without a pause, and the answers and refusals that they got."""

    def __init__(self, stack: Stack) -> None:
        self._base = stack.client.base_url
        self._over = threading.Event()
        self.answers: list[tuple[float, dict[str, Any]]] = []
        self.refusals: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._base, timeout=60, headers={"Prefer": "wait=20"}) as client:
            while not self._over.is_set():
                body = {"features": [float(number)]}
                response = client.post("/api/v1/models/switched/predictions/", json=body)
                if response.status_code == 200:
                    self.answers.append((number, response.json()))
                else:
                    self.refusals.append(response.text)


@contextmanager
def signed_in(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.client.base_url, timeout=30, follow_redirects=True) as client:
        page = client.get("/accounts/login/").text
        words = {"username": "olga", "password": "secret-of-olga", "csrfmiddlewaretoken": token_of(page)}
        assert "olga" in client.post("/accounts/login/", data=words).text
        yield client


def token_of(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def promote(client: httpx.Client, version: int) -> None:
    token = token_of(client.get("/models/switched/versions/").text)
    words = {"what": f"promote:{version}", "reason": "to and fro", "csrfmiddlewaretoken": token}
    assert client.post("/models/switched/versions/change/", data=words).status_code == 200


def test_promotions_under_load_lose_nothing_and_mix_nothing_up(switched: Stack) -> None:
    load = Load(switched)
    switches: list[float] = []
    with load.running(), signed_in(switched) as operator:
        for number in range(CHANGES):
            version = 2 - number % 2
            promote(operator, version)
            start, seen = time.monotonic(), len(load.answers)
            wait_until(
                lambda: [body["version"] for _, body in load.answers[seen:]][-CLIENTS:] == [version] * CLIENTS,  # noqa: B023
                SECONDS,
                f"the last answers of all clients are of version {version}",
            )
            switches.append(time.monotonic() - start)
    print(
        f"\n{len(load.answers)} answers, {CHANGES} switches: {sorted(switches)[len(switches) // 2]:.2f} s in the median"
    )
    assert load.refusals == []
    wrong = [
        (x, body)
        for x, body in load.answers
        if body["status"] != "succeeded" or abs(body["output"]["value"] - FACTORS[body["version"]] * x) > 1e-6
    ]
    assert wrong == []
    events = switched.query("SELECT action FROM predictions_lifecycleevent")
    assert [row["action"] for row in events].count("promoted") == CHANGES
