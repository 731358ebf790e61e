from collections.abc import Callable
from pathlib import Path

import pytest

from predictions.serving.artifacts import repository
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded


@pytest.fixture(scope="session")
def load(trained_models: Path) -> Callable[[str], Loaded]:
    """A demo model, opened as a worker opens it."""
    loader = Loader(trained_models, 10**9)

    def opened(name: str) -> Loaded:
        return loader.get(name, 1, repository.manifest(trained_models, name, 1).sha256)

    return opened
