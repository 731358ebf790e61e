"""Changes of a model's folder."""

import shutil
from pathlib import Path


def rewrite(root: Path, old: str, new: str, name: str = "iris") -> None:
    """Replace a text in the model.toml of a model."""
    path = root / name / "model.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def add_version(root: Path, name: str = "iris", number: int = 2) -> None:
    """Add a copy of version 1 with another number."""
    first, second = root / name / "versions/1", root / f"{name}/versions/{number}"
    shutil.copytree(first, second)
    manifest = second / "version.json"
    text = manifest.read_text().replace('"version": 1,', f'"version": {number},', 1)
    manifest.unlink()
    manifest.write_text(text)
