"""Models whose files are hard to read: with large and small numbers, with optional features, with odd names."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from predictions.lifecycle import registry
from predictions.models import RegisteredModel

HEAD = """
title = "{name}"
summary = "Adds its first two features."
task = "regression"

[target]
name = "sum"
"""
FEATURE = """
[[features]]
kind = "{kind}"
name = "{name}"
required = {required}
"""
# Kind and name of each feature, and whether it is required.
FEATURES: dict[str, list[tuple[str, str, bool]]] = {
    "incomes": [
        ("number", "income", True),
        ("integer", "age", True),
        ("number", "ratio", True),
        ("integer", "children", False),
        ("text", "note", False),
    ],
    "signs": [("number", "-log10 p", True), ("number", "+x", True), ("text", "note", False)],
}
VALUES: dict[str, Callable[[int], Any]] = {"number": lambda n: n + 0.5, "integer": lambda n: n, "text": lambda n: "x"}


def description(name: str) -> str:
    features = (FEATURE.format(kind=k, name=n, required=str(r).lower()) for k, n, r in FEATURES[name])
    return HEAD.format(name=name.title()) + "".join(features)


@pytest.fixture(scope="session")
def trained_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of these models, each with one version."""
    import numpy as np

    from predictions.serving.artifacts.repository import describe
    from predictions.serving.registration import Split
    from predictions.serving.training.register import register
    from tests.support.estimators import Sizes

    root = tmp_path_factory.mktemp("tables")
    for name, features in FEATURES.items():
        (root / name).mkdir()
        (root / name / "model.toml").write_text(description(name))
        rows = [[VALUES[kind](n) for kind, _, _ in features] for n in range(20, 40)]
        data = Split(np.array(rows, dtype=object), np.arange(20.0))
        register(root, describe(root, name), Sizes().fit(data.x, data.y), data, data)
    return root


@contextmanager
def serving(name: str, models_dir: Path, trained: Path) -> Iterator[RegisteredModel]:
    shutil.copytree(trained / name, models_dir / name)
    try:
        assert registry.sync(models_dir) == []
        yield registry.find(name)
    finally:
        shutil.rmtree(models_dir / name)


@pytest.fixture
def incomes(
    registered: dict[str, RegisteredModel], models_dir: Path, trained_tables: Path
) -> Iterator[RegisteredModel]:
    with serving("incomes", models_dir, trained_tables) as model:
        yield model


@pytest.fixture
def signs(registered: dict[str, RegisteredModel], models_dir: Path, trained_tables: Path) -> Iterator[RegisteredModel]:
    with serving("signs", models_dir, trained_tables) as model:
        yield model
