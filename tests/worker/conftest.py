"""Stacks of real processes, and their models."""

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support import stack as stacks
from tests.support.stack import Stack

# httpx logs a line for each request, which hides the logs of the processes.
logging.getLogger("httpx").setLevel(logging.WARNING)

# Short times: a lost claim is requeued after TIME_LIMIT + 5 seconds. The time limit leaves room for rows that are slow
# enough for a test to act while they run, on a busy machine too. A sweep of the keeper takes 40 ms of processor time:
# two a second would take a tenth of a core from the tests that run at the same time.
SHORT_TIMES = {"TIME_LIMIT": 4, "KEEPER_SECONDS": 1, "PREDICTION_SECONDS": 120, "WAIT_MAX": 20}


def change_file(path: Path, content: bytes) -> None:
    """Replace a file of a version, which is read-only."""
    path.unlink()
    path.write_bytes(content)


def change_manifest(version: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = version / "version.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    change_file(path, json.dumps(manifest).encode())


@pytest.fixture(scope="session")
def stack_models(trained_models: Path, trained_probe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo models, the probe model under three names, and three models with an invalid version."""
    root = tmp_path_factory.mktemp("stack") / "models"
    shutil.copytree(trained_models, root)

    def copy(source: Path, name: str) -> Path:
        shutil.copytree(source, root / name)
        version = root / name / "versions/1"
        change_manifest(version, lambda manifest: manifest.update(model=name))
        return version

    for name in ("probe", "probe-crashing", "probe-hanging"):
        copy(trained_probe, name)

    damaged = copy(root / "iris", "damaged") / "estimator.joblib"
    change_file(damaged, damaged.read_bytes() + b"\n")
    change_manifest(
        copy(root / "iris", "other-library"), lambda manifest: manifest["libraries"].update({"scikit-learn": "0.1"})
    )
    change_manifest(copy(root / "iris", "other-answers"), lambda manifest: manifest["golden"]["outputs"].reverse())
    return root


@pytest.fixture(scope="session")
def prepared_stack(stack_models: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A stack without processes. The stacks of the tests start with copies of its database and static files."""
    assert request.config.cache
    with stacks.prepared(stack_models, request.config.cache.mkdir("foretell-static")) as stack:
        yield stack


@pytest.fixture(scope="session")
def prepare_stack(prepared_stack: Stack) -> Callable[..., AbstractContextManager[Stack]]:
    return lambda **variables: stacks.copied(prepared_stack, **{**SHORT_TIMES, **variables})


@pytest.fixture(scope="package")
def shared_stack(prepare_stack: Callable[..., AbstractContextManager[Stack]]) -> Iterator[Stack]:
    with prepare_stack() as stack:
        stack.start("redis", "worker", "bulk", "keeper", "web")
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """The five processes of the Procfile, running and idle."""
    shared_stack.mend()
    return shared_stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the logs of the processes to the report of a failed test."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Stack):
                report.sections += [(f"log of {name}", log) for name, log in value.log_tails().items()]
    return report
