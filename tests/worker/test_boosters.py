"""Boosters in pool children: their threads do not survive a fork, so each child loads and proves them itself."""

from collections.abc import Iterator
from pathlib import Path

import joblib
import pytest

from tests.support.brought import CASES
from tests.support.stack import Stack, prepared
from tests.support.waiting import wait_until

SECONDS = 60
ROW = {"mean radius": None, "weight": 0.5, "count": 3, "city": "Ulm"}
BOOSTERS = ["xgboost_in_a_pipeline", "lightgbm_with_categories", "catboost_in_a_pipeline"]


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack with a model of each library, registered before its worker starts."""
    assert request.config.cache
    files = tmp_path_factory.mktemp("boosters")
    (files / "models").mkdir()
    with prepared(files / "models", request.config.cache.mkdir("foretell-static"), WAIT_MAX=20) as stack:
        stack.manage_all(*(registration(files, case, case.partition("_")[0]) for case in BOOSTERS))
        stack.start("redis", "worker", "keeper", "web")
        yield stack


def registration(files: Path, case: str, name: str) -> list[str]:
    """The command that registers the estimator of a case."""
    made = CASES[case]()
    joblib.dump(made.estimator, files / f"{name}.joblib")
    made.frame.to_csv(files / f"{name}.csv", index=False)
    words = ["--name", name, "--data", str(files / f"{name}.csv"), "--target", str(made.target)]
    return ["register_model", str(files / f"{name}.joblib"), *words]


def ask(stack: Stack, model: str) -> object:
    response = stack.post(model, ROW, Prefer="wait=20")
    if response.status_code == 202:
        stack.wait_for_end([response.json()["id"]], SECONDS)
        response = stack.client.get(response.headers["Location"])
    assert response.json()["status"] == "succeeded", response.text
    return response.json()["output"]


def test_killed_child_is_refilled_and_answers_for_each_booster(boosted: Stack) -> None:
    before = {model: ask(boosted, model) for model in ("xgboost", "lightgbm", "catboost")}
    old = {child.pid for child in boosted["worker"].process.children()}
    boosted["worker"].kill_children()
    wait_until(
        lambda: bool(new := {child.pid for child in boosted["worker"].process.children()}) and not new & old,
        SECONDS,
        "the children are replaced",
    )
    assert {model: ask(boosted, model) for model in before} == before


def test_booster_registered_while_the_worker_runs_is_served(boosted: Stack, tmp_path: Path) -> None:
    said = boosted.manage(*registration(tmp_path, "xgboost_with_categories", "later"))
    assert "It serves now: /models/later/" in said
    assert boosted.client.get("/models/later/").status_code == 200
    response = boosted.post("later", {**ROW, "city": "Ulm"}, Prefer="wait=20")
    assert response.status_code in (200, 202)
    boosted.wait_for_end([response.json()["id"]], SECONDS)
    assert boosted.get(response.json()["id"])["output"]["kind"] == "classification"
