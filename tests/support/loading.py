"""Changes of a stored version, and the reason why it does not load."""

import json
from pathlib import Path
from typing import Any

import pytest

from predictions.serving.artifacts import repository
from predictions.serving.engines.loader import Loader
from predictions.serving.schema.errors import ModelUnavailable


def change_manifest(root: Path, number: int, **changes: Any) -> None:
    path = root / "fruit" / "versions" / str(number) / "version.json"
    changed = repository.manifest(root, "fruit", number).model_copy(update=changes)
    path.chmod(0o644)
    path.write_text(changed.model_dump_json())


def reason(cache: Loader, number: int, sha256: str) -> str:
    """The reason why this version does not load."""
    with pytest.raises(ModelUnavailable) as caught:
        cache.get("fruit", number, sha256)
    return caught.value.reason


def unproved(*_: object) -> None:
    """Replaces the proof in a separate process, which takes seconds, in tests that are not about the proof."""


def make_outdated(manifest: Path) -> None:
    """Rewrites a version.json as Foretell wrote it before versions kept the types of their training data."""
    content = json.loads(manifest.read_text())
    for name in ("input_schema", "batching", "code", "remarks"):
        del content[name]
    manifest.unlink()
    manifest.write_text(json.dumps({**content, "input": "array"}))
