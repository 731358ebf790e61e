"""A request to import an estimator: the files that a person brings, and whether they were imported before."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from predictions.serving.artifacts import repository
from predictions.serving.registration import CannotRegister


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of `manage.py register_model`."""

    path: Path
    name: str
    data: Path | None = None
    target: str | None = None
    held_out: Path | None = None
    code: Path | None = None
    title: str | None = None
    dry_run: bool = False

    def digest(self, description: Path) -> str:
        """The SHA-256 of the imported files and of the description. The same digest means the same version."""
        digest = hashlib.sha256(description.read_bytes())
        for brought in (self.path, self.data, self.held_out, self.code):
            digest.update(b"\0")
            for path in _files(brought):
                digest.update(path.read_bytes())
        return digest.hexdigest()


def known_version(root: Path, request: Request) -> int | None:
    """The newest version that was made from the very same files, if there is one."""
    description = root / request.name / repository.DESCRIPTION
    if not description.is_file() or not request.path.exists():
        return None
    source = request.digest(description)
    made = [manifest for manifest in repository.manifests(root, request.name) if manifest.source == source]
    return made[-1].version if made else None


def _files(brought: Path | None) -> list[Path]:
    if brought is None:
        return []
    return [path for path in sorted(brought.rglob("*")) if path.is_file()] if brought.is_dir() else [brought]


def check_request(request: Request) -> None:
    if not repository.is_name(request.name):
        better = re.sub(r"[^a-z0-9_-]+", "-", request.name.lower()).strip("-_")[:64]
        hint = f", for example {better}" if better else ""
        raise CannotRegister(
            f"--name {request.name!r}: use a-z, 0-9, - and _ only, 64 at most, a letter or digit first{hint}."
        )
    if request.data is None and (request.target or request.held_out):
        raise CannotRegister("--target and --held-out need --data FILE, the rows that the estimator was fitted on.")
