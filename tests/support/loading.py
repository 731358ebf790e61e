"""Changes of a stored version, and the reason why it does not load."""

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
