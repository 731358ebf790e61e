"""A restore in place: while the processes run, the primary key of a version comes to name another artefact."""

import shutil
from pathlib import Path

from tests.support.stack import Stack, connected

PROBE = Path(__file__).parent.parent / "worker/models/probe"
VERSION = "versions/1"
# The probe that answers 2x + 1 becomes one that answers 3x.
CHANGES = {"Probe": "Tripled", "2 * x[:, 0] + 1": "3 * x[:, 0]"}


def train_tripled(root: Path, name: str) -> Path:
    """Train version 1 of a model that answers 3x. Returns its folder."""
    from predictions.serving.training.register import train_and_register

    folder = root / name
    shutil.copytree(PROBE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    code = folder / "train.py"
    text = code.read_text()
    for old, new in CHANGES.items():
        text = text.replace(old, new)
    code.write_text(text)
    train_and_register(root, name)
    return folder / VERSION


def restore_in_place(stack: Stack, name: str, restored: Path) -> None:
    """Replace version 1 of a model by another version of the same number, in the folder and in the database."""
    from predictions.serving.artifacts import repository

    sha256 = repository.manifest(restored.parents[2], restored.parents[1].name, 1).sha256
    folder = stack.models / name / VERSION
    incoming, outgoing = folder.with_name(".incoming"), folder.with_name(".outgoing")
    shutil.copytree(restored, incoming)
    folder.rename(outgoing)
    incoming.rename(folder)
    with connected(stack.database_url) as connection:
        connection.execute(
            f"UPDATE predictions_modelversion SET sha256 = '{sha256}' WHERE number = 1 AND registered_model_id ="
            f" (SELECT id FROM predictions_registeredmodel WHERE name = '{name}')"
        )
        connection.commit()
    shutil.rmtree(outgoing)
    stack.manage("sync_models")
