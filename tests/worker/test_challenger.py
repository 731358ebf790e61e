"""A challenger with real processes: no caller sees its shadow, its canary is sticky, a killed worker loses none."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.support.stack import Stack
from tests.support.waiting import wait_until

SECONDS = 120
KILLS = 5
NAME = "challenged"
ASK = f"/api/v1/models/{NAME}/predictions/"
COUNTS = """
from predictions.models import ComparedAnswer, Comparison, Prediction
runs = [(run.kind, run.done, run.dropped, run.is_terminal) for run in Comparison.objects.order_by("pk")]
print(ComparedAnswer.objects.count(), Prediction.objects.filter(caller__startswith="address:").count(), runs)
"""
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
        tmp_path = tmp_path_factory.mktemp("challenger")
        x = pd.DataFrame({"x": np.arange(50.0)})
        for version, factor in {1: 2.0, 2: 3.0}.items():
            file, data = tmp_path / f"{version}.joblib", tmp_path / f"{version}.csv"
            joblib.dump(LinearRegression().fit(x, x["x"] * factor), file)
            x.assign(y=x["x"] * factor).to_csv(data, index=False)
            stack.manage("register_model", str(file), "--name", NAME, "--data", str(data), "--target", "y")
        stack.manage("alias", NAME, "challenger", "2")
        yield stack


def ask(client: httpx.Client, value: float, **headers: str) -> dict[str, Any]:
    answer = client.post(ASK, json={"features": [value]}, headers={"Prefer": "wait=20", **headers})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def counts(stack: Stack) -> tuple[int, int, str]:
    """Of answers for comparison, of the predictions of callers, and how far shadows and replays are."""
    compared, asked, runs = stack.manage("shell", "-v", "0", "-c", COUNTS).strip().splitlines()[-1].split(" ", 2)
    return int(compared), int(asked), runs


def test_shadow_reaches_no_caller_and_survives_the_death_of_its_worker(challenged: Stack) -> None:
    stack = challenged
    stack.manage("shadow", NAME, "100")
    answers = [ask(stack.client, float(number % 50)) for number in range(60)]
    assert {answer["version"] for answer in answers} == {1}

    for _ in range(KILLS):  # at any time: it may be at work
        stack["bulk"].kill_children()
        counts(stack)
    wait_until(lambda: counts(stack)[0] == 60, SECONDS, "each answer has been compared")

    compared, asked, runs = counts(stack)
    assert (compared, asked) == (60, 60)
    assert runs == "[('shadow', 60, 0, False)]"
    listed = stack.client.get("/api/v1/predictions/?limit=100").json()["results"]
    assert len(listed) == 60
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
    """The answers once the web has seen the canary."""
    found: list[int] = []

    def both() -> bool:
        found[:] = versions()
        return set(found) == {1, 2}

    wait_until(both, SECONDS, "both versions answer")
    return found
