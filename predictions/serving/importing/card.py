"""Drafts the CARD.md of an imported estimator: the measured facts, and marked places for a person to fill in."""

import hashlib
from pathlib import Path

from predictions.serving.artifacts.manifest import Manifest

TO_WRITE = "*To be written by a person:*"


def card(title: str, file: Path, data: Path | None, manifest: Manifest, kind: str) -> str:
    source = f"{data.name}, {manifest.rows['training']:,} rows" if data else "none was given"
    return "\n".join(
        [
            f"# {title}",
            "",
            "## What it is for",
            f"{TO_WRITE} who should ask it, about what, and what must not be decided by it.",
            "",
            "## Data",
            f"{TO_WRITE} where the rows come from, when and how they were collected, who is missing from them.",
            "",
            f"- Rows that came with it: {source}.",
            f"- Columns that it reads: {len(manifest.signature.names)}.",
            *([f"- Classes: {', '.join(manifest.labels[:20])}."] if manifest.labels else []),
            "",
            "## Method",
            f"- {kind}, brought as `{file.name}` (SHA-256 `{_digest(file)}`).",
            f"- Libraries: {', '.join(f'{name} {version}' for name, version in manifest.libraries.items())}.",
            "",
            "## Quality",
            *_quality(manifest),
            "",
            "## Limits",
            f"{TO_WRITE} where it errs, and for whom.",
            "",
        ]
    )


def _quality(manifest: Manifest) -> list[str]:
    several = {one.target.name: one.metrics for one in manifest.targets if one.metrics}
    measured = {f"{target}, {name}": value for target, found in several.items() for name, value in found.items()}
    measured = measured or manifest.metrics
    if not measured:
        command = "`manage.py register_model … --held-out FILE` measures it."
        return [f"Not measured: no rows were given that it had not seen. {command}"]
    rows = manifest.rows["held_out"]
    return [
        f"Measured on {rows:,} held-out rows:",
        "",
        *(f"- {name}: {value:.4g}" for name, value in measured.items()),
    ]


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(file.rglob("*")) if file.is_dir() else [file]:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()
