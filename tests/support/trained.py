"""Trained versions that tests share. A set is trained once for its sources: for all tests, for the parts of a run that
run at the same time, and for later runs."""

import fcntl
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from project.env import BASE_DIR

# What every version depends on, besides its own sources: the code that makes versions, and the libraries.
CODE = [BASE_DIR / "predictions/serving", BASE_DIR / "requirements/run.txt"]
# What training and running leave in the folders.
MADE = {"versions", "__pycache__"}


def trained_once(kept: Path, sources: Path, train: Callable[[Path], None]) -> Path:
    """The folder of models that `train` makes from a copy of `sources`. Only to copy from.

    Args:
        kept: a folder that outlives the test process. Another process that wants the same versions waits there.
        train: gives each model in the folder a version.
    """
    kept.mkdir(parents=True, exist_ok=True)
    found = kept / _fingerprint([sources, *CODE])
    with _locked(kept / "lock"):
        if not found.is_dir():
            with tempfile.TemporaryDirectory(dir=kept) as incoming:
                models = Path(incoming) / "models"
                shutil.copytree(sources, models, ignore=shutil.ignore_patterns(*MADE))
                train(models)
                models.rename(found)
    return found


def train_all(models: Path) -> None:
    """Give each model of the folder a version, in this process."""
    from predictions.serving.training.register import train_and_register

    for description in sorted(models.glob("*/model.toml")):
        train_and_register(models, description.parent.name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fingerprint(places: Iterable[Path]) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(path for place in places for path in _files(place)):
        digest.update(str(path.relative_to(BASE_DIR)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [path for path in place.rglob("*") if path.is_file() and not MADE.intersection(path.parts)]
