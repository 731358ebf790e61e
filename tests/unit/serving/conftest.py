from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.artifacts.repository import describe, manifest, manifests
from predictions.serving.registration import Split
from predictions.serving.training.register import register
from tests.support.loading import unproved
from tests.support.versions import copy_version

DESCRIPTION = """
title = "Fruit"
summary = "Tells two fruits apart."
task = "classification"
groups = ["Size"]

[target]
name = "fruit"
labels = [["a", "Apple"], ["b", "Pear"]]

[[features]]
kind = "number"
name = "long side"
unit = "mm"
group = "Size"
minimum = 0
maximum = 400

[[features]]
kind = "number"
name = "weight"
required = false

[[examples]]
title = "Small"
values = { "long side" = 40.0, "weight" = 90.0 }
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_description(tmp_path)
    return tmp_path


def write_description(root: Path) -> None:
    folder = root / "fruit"
    folder.mkdir()
    (folder / "model.toml").write_text(DESCRIPTION)


@pytest.fixture
def description(root: Path) -> Description:
    return describe(root, "fruit")


@pytest.fixture(scope="session")
def data() -> tuple[Split, Split]:
    random = np.random.default_rng(3)
    x = random.uniform(10, 100, size=(120, 2))
    y = np.where(x[:, 0] + random.normal(0, 10, 120) > 55, "b", "a")
    return Split(x[:80], y[:80]), Split(x[80:], y[80:])


@pytest.fixture(scope="module")
def usual() -> Any:
    """The default estimator of `store`. A test module may override this fixture."""
    return LogisticRegression()


@pytest.fixture(scope="module")
def usual_version(usual: Any, data: tuple[Split, Split], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the fruit model with one version. Only to copy from."""
    root = tmp_path_factory.mktemp("usual")
    write_description(root)
    training, held_out = data
    fitted = usual.fit(training.x, training.y)
    register(root, describe(root, "fruit"), fitted, training, held_out, unproved)
    return root / "fruit"


@pytest.fixture
def store(
    root: Path, description: Description, data: tuple[Split, Split], usual_version: Path
) -> Callable[[], Manifest]:
    """Stores one more version of the fruit model: a copy of the usual one, unless an estimator is given."""

    def make(estimator: Any = None) -> Manifest:
        if estimator is None:
            return _copied(usual_version, root)
        training, held_out = data
        return register(root, description, estimator.fit(training.x, training.y), training, held_out, unproved)

    return make


def _copied(model: Path, root: Path) -> Manifest:
    number = len(manifests(root, "fruit")) + 1
    copy_version(model / "versions/1", root / f"fruit/versions/{number}")
    return manifest(root, "fruit", number)
