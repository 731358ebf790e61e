"""Changes of a model's folder."""

import shutil
from pathlib import Path


def rewrite(root: Path, old: str, new: str, name: str = "iris") -> None:
    """Replace a text in the model.toml of a model."""
    path = root / name / "model.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def add_version(root: Path, name: str = "iris") -> None:
    """Add version 2: a copy of version 1 with another number."""
    copy_version(root / name / "versions/1", root / name / "versions/2")


def copy_version(first: Path, copy: Path) -> None:
    """Copy the folder of a version 1; the name of the copy is its number."""
    shutil.copytree(first, copy)
    manifest = copy / "version.json"
    text = manifest.read_text().replace('"version": 1,', f'"version": {copy.name},', 1)
    manifest.unlink()
    manifest.write_text(text)
