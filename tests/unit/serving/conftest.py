from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.repository import Manifest, describe
from predictions.serving.registration import Split
from predictions.serving.training.register import register
from tests.support.loading import unproved

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
    folder = tmp_path / "fruit"
    folder.mkdir()
    (folder / "model.toml").write_text(DESCRIPTION)
    return tmp_path


@pytest.fixture
def description(root: Path) -> Description:
    return describe(root, "fruit")


@pytest.fixture
def data() -> tuple[Split, Split]:
    random = np.random.default_rng(3)
    x = random.uniform(10, 100, size=(120, 2))
    y = np.where(x[:, 0] + random.normal(0, 10, 120) > 55, "b", "a")
    return Split(x[:80], y[:80]), Split(x[80:], y[80:])


@pytest.fixture
def store(root: Path, description: Description, data: tuple[Split, Split]) -> Callable[[], Manifest]:
    """Trains and stores one more version of the fruit model."""

    def make(estimator: Any = None) -> Manifest:
        training, held_out = data
        fitted = (estimator or LogisticRegression()).fit(training.x, training.y)
        return register(root, description, fitted, training, held_out, unproved)

    return make
