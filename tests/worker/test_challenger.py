"""A challenger with real processes: no caller sees its shadow, its canary is sticky, a killed worker loses none."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from tests.support.multiplying import multiplying
from tests.support.stack import Stack
from tests.support.waiting import wait_until

SECONDS = 120
KILLS = 2  # a third would end the comparison: predictions.comparison.execution.MOST_ATTEMPTS
ROWS = 50
NAME = "challenged"
ASK = f"/api/v1/models/{NAME}/predictions/"
ANSWERS = "SELECT COUNT(*) AS count FROM predictions_comparedanswer"
PREDICTIONS = "SELECT COUNT(*) AS count FROM predictions_prediction WHERE caller LIKE 'address:%'"
RUNS = "SELECT kind, done, dropped, finished_at FROM predictions_comparison ORDER BY id"
CLAIMED = "SELECT claimed_until FROM predictions_comparison WHERE claimed_until IS NOT NULL"
TOKENS = """
from django.contrib.auth.models import User
from predictions.models import ApiToken
for number in range(40):
    user = User.objects.create_user(f"caller-{number}")
    print(ApiToken.objects.create(user=user, name="test", expiry=None)[1])
"""


@pytest.fixture(scope="module")
def challenged(
    prepare_stack: Callable[..., AbstractContextManager[Stack]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """Processes of their own with a model whose version 1 serves and version 2 is the challenger."""
    with prepare_stack() as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        versions = multiplying(tmp_path_factory.mktemp("challenger"), NAME, [2.0, 3.0])
        stack.manage_all(*versions, ["alias", NAME, "challenger", "2"])
        yield stack


def ask(client: httpx.Client, value: float, **headers: str) -> dict[str, Any]:
    answer = client.post(ASK, json={"features": [value]}, headers={"Prefer": "wait=20", **headers})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def count(stack: Stack, sql: str) -> int:
    [row] = stack.query(sql)
    return int(row["count"])


def claimed(stack: Stack) -> list[object]:
    """The end of the lease of each claimed comparison. A worker that was killed leaves its lease in the table."""
    return [run["claimed_until"] for run in stack.query(CLAIMED)]


def kill_at_work(stack: Stack, before: list[object]) -> list[object]:
    """Wait for a claim and kill the worker. Returns the claim that it still held, or nothing if it had finished.

    Args:
        before: the claim that the last killed worker left in the table.
    """
    wait_until(lambda: claimed(stack) not in ([], before), SECONDS, "a worker compares")
    stack["bulk"].freeze()
    held = claimed(stack)
    stack["bulk"].kill_children()
    stack["bulk"].thaw()
    return held


def test_shadow_reaches_no_caller_and_survives_the_death_of_its_worker(challenged: Stack) -> None:
    stack = challenged
    stack.manage("shadow", NAME, "100")
    asked, kills, last = 0, 0, list[object]()
    while kills < KILLS:
        if count(stack, ANSWERS) == asked:  # at first, and when a worker was quicker than the kill
            answers = [ask(stack.client, float(number)) for number in range(ROWS)]
            assert {answer["version"] for answer in answers} == {1}
            asked += ROWS
        last = kill_at_work(stack, last)
        kills += bool(last)
    wait_until(lambda: count(stack, ANSWERS) == asked, SECONDS, "each answer has been compared")

    assert count(stack, PREDICTIONS) == asked
    assert [tuple(run.values()) for run in stack.query(RUNS)] == [("shadow", asked, 0, None)]
    listed = stack.client.get("/api/v1/predictions/?limit=100").json()["results"]
    assert len(listed) == min(asked, 100)
    assert {row["version"] for row in listed} == {1}


def test_canary_is_sticky_until_it_is_stopped(challenged: Stack) -> None:
    stack = challenged
    stack.manage("canary", NAME, "50")
    tokens = stack.manage("shell", "-v", "0", "-c", TOKENS).split()[-40:]

    def versions() -> list[int]:
        answers = [ask(stack.client, 3.0, Authorization=f"Bearer {token}") for token in tokens]
        assert all(round(answer["output"]["value"]) == 3 * (answer["version"] + 1) for answer in answers)
        return [answer["version"] for answer in answers]

    seen = wait_for_both(versions)
    for _ in range(3):
        assert versions() == seen

    stack.manage("canary", NAME, "0")
    wait_until(lambda: set(versions()) == {1}, SECONDS, "the version that serves answers all callers")


def wait_for_both(versions: Callable[[], list[int]]) -> list[int]:
    """The versions that answer, as soon as the web process has seen the canary: then both versions are among them."""
    found: list[int] = []

    def both() -> bool:
        found[:] = versions()
        return set(found) == {1, 2}

    wait_until(both, SECONDS, "both versions answer")
    return found
