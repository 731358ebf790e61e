"""The stage for short runs of the scenarios on a machine that may be busy."""

import logging
import os
from collections.abc import Iterator

import pytest

from tests.chaos.stage import LINES, Stage, train
from tests.support.stack import Stack

logging.getLogger("httpx").setLevel(logging.WARNING)

# Time limits are multiplied by this factor. Limits on lost, duplicated and wrong predictions stay.
TIME_FACTOR = 3.0
SEED = 1


@pytest.fixture(scope="package")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    assert request.config.cache
    database = "postgres" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "sqlite"
    models = train(tmp_path_factory.mktemp("chaos") / "models", all_models=False)
    collected = request.config.cache.mkdir("foretell-static")
    return Stage(database, models, collected, seed=SEED, quick=True, time_factor=TIME_FACTOR)


@pytest.fixture(scope="package")
def shared_stack(stage: Stage) -> Iterator[Stack]:
    with stage.stack() as stack:
        stack.start(*LINES)
        yield stack
