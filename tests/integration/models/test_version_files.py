"""Machines share versions by a storage: a copy is complete and has the registered hash, or it does not exist."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from django.core.files import File
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import CommandError, call_command

from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel, version_files
from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import COMPILED, ESTIMATOR, Manifest
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.predictor import predict
from predictions.serving.schema.errors import ModelUnavailable
from tests.integration.conftest import IRIS
from tests.support.commands import run
from tests.support.versions import add_version

pytestmark = pytest.mark.django_db
Settings = Any


@pytest.fixture
def shared(settings: Settings, tmp_path: Path) -> Path:
    """The folder of the storage."""
    folder = tmp_path / "bucket"
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {**settings.STORAGES, "artefacts": {"BACKEND": backend, "OPTIONS": {"location": folder}}}
    return folder


@pytest.fixture
def first(trained_models: Path, tmp_path: Path) -> Path:
    """The models folder of the machine that registers."""
    shutil.copytree(trained_models / "iris", tmp_path / "first/iris")
    return tmp_path / "first"


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """The empty models folder of a machine that serves."""
    (tmp_path / "second").mkdir()
    return tmp_path / "second"


def manifest(root: Path, number: int = 1) -> Manifest:
    return repository.manifest(root, "iris", number)


def opened(root: Path, sha256: str, number: int = 1) -> Any:
    return Loader(root, 10**9, bring=version_files.bring).get("iris", number, sha256)


def test_another_machine_brings_what_it_is_asked_and_answers_the_same(shared: Path, first: Path, second: Path) -> None:
    assert registry.sync(first) == []
    registered = ModelVersion.objects.get(registered_model__name="iris").sha256

    here, there = opened(first, registered), opened(second, registered)

    row = here.manifest.signature.clean(dict(zip(here.manifest.signature.names, IRIS, strict=True)))
    assert predict(there, [row])[0].output == predict(here, [row])[0].output
    assert sorted(path.name for path in (second / "iris/versions/1").iterdir()) == sorted(
        path.name for path in (first / "iris/versions/1").iterdir()
    )


def test_pull_brings_words_and_manifests_and_no_estimator(shared: Path, first: Path, second: Path) -> None:
    version_files.publish(first)
    version_files.pull(second)
    assert manifest(second) == manifest(first)
    assert (second / "iris/CARD.md").read_text() == (first / "iris/CARD.md").read_text()
    assert not repository.artefact(second, "iris", 1).exists()


def test_machine_that_starts_trains_nothing_that_is_stored(
    shared: Path, first: Path, second: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_files.publish(first)
    settings.MODELS_DIR = second
    monkeypatch.setattr("predictions.management.commands.prepare.Command.collect_static", lambda _: None)
    output = io.StringIO()
    call_command("prepare", stdout=output, stderr=output)
    assert "Training" not in output.getvalue()
    model = RegisteredModel.objects.get(name="iris")
    assert (model.is_present, model.champion and model.champion.sha256) == (True, manifest(first).sha256)


@pytest.mark.parametrize("file", [ESTIMATOR, COMPILED, "sureness.npz"])
def test_changed_file_of_the_storage_is_neither_kept_nor_opened(
    shared: Path, first: Path, second: Path, file: str
) -> None:
    version_files.publish(first)
    path = shared / "iris/versions/1" / file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelUnavailable, match=rf"iris/versions/1/{file} in the storage of artefacts has the SHA-256"):
        opened(second, manifest(first).sha256)
    assert not (second / "iris/versions/1" / file).exists()


def test_other_estimator_with_its_own_manifest_is_not_opened(
    shared: Path, first: Path, second: Path, tmp_path: Path
) -> None:
    """Somebody who may write into the storage cannot exchange a registered version."""
    registered = manifest(first).sha256
    forged = manifest(first).model_copy(update={"sha256": "0" * 64})
    version_files.publish(first)
    (shared / "iris/versions/1/version.json").write_text(forged.model_dump_json())
    with pytest.raises(ModelUnavailable):
        opened(second, registered)


def test_version_that_is_not_whole_is_said_to_be_so(shared: Path, first: Path, second: Path) -> None:
    version_files.publish(first)
    (shared / "iris/versions/1/estimator.joblib").unlink()
    with pytest.raises(ModelUnavailable, match="is not whole in the storage"):
        opened(second, manifest(first).sha256)


class Away(FileSystemStorage):
    """A storage that stops answering in the middle of a file."""

    def _open(self, name: str, mode: str = "rb") -> Any:
        opened = super()._open(name, mode)
        return Cut(opened.file) if name.endswith(".joblib") else opened


class Cut(File):  # type: ignore[type-arg]
    def read(self, size: int = -1) -> bytes:
        raise RuntimeError("ConnectionReset: https://user:secret@bucket.example.org")


def test_lost_connection_leaves_nothing_and_is_tried_again(
    shared: Path, first: Path, second: Path, settings: Settings
) -> None:
    version_files.publish(first)
    working = settings.STORAGES
    away = {"BACKEND": f"{__name__}.Away", "OPTIONS": {"location": shared}}
    settings.STORAGES = {**working, "artefacts": away}
    with pytest.raises(ModelUnavailable, match="cannot be copied from the storage of artefacts; the log says why"):
        version_files.bring(second, "iris", 1)
    assert [path.name for path in (second / "iris/versions/1").iterdir()] == ["version.json"]
    settings.STORAGES = working
    assert opened(second, manifest(first).sha256).manifest == manifest(first)


class Silent(FileSystemStorage):
    def listdir(self, path: str) -> Any:
        raise RuntimeError("secret://bucket.example.org does not answer")


def test_storage_that_does_not_answer_leaves_what_is_here_to_serve(
    shared: Path, first: Path, settings: Settings
) -> None:
    settings.STORAGES = {**settings.STORAGES, "artefacts": {"BACKEND": f"{__name__}.Silent"}}
    [problem] = registry.sync(first)
    assert "(ARTEFACT_STORAGE) cannot be used: RuntimeError" in str(problem)
    assert "secret" not in str(problem)
    assert RegisteredModel.objects.get(name="iris").champion is not None


@pytest.mark.parametrize("command", [("train", "iris"), ("register_model", "m.joblib", "--name", "mine")])
def test_no_number_is_taken_while_the_storage_does_not_answer(
    shared: Path, settings: Settings, command: tuple[str, ...]
) -> None:
    settings.STORAGES = {**settings.STORAGES, "artefacts": {"BACKEND": f"{__name__}.Silent"}}
    with pytest.raises(CommandError, match=r"^The storage of artefacts \(ARTEFACT_STORAGE\) cannot be used"):
        run(*command)


def test_number_that_another_machine_has_taken_is_reported(shared: Path, first: Path, second: Path) -> None:
    version_files.publish(first)
    shutil.copytree(first / "iris", second / "iris")
    add_version(first)
    add_version(second)
    changed = manifest(second, 2).model_copy(update={"sha256": "1" * 64})
    path = second / "iris/versions/2/version.json"
    path.chmod(0o644)
    path.write_text(changed.model_dump_json())

    assert version_files.publish(first) == []
    [taken] = version_files.publish(second)
    assert "another version 2 of iris, from another machine" in str(taken)
    assert Manifest.model_validate_json((shared / "iris/versions/2/version.json").read_text()) == manifest(first, 2)


def test_publication_that_broke_off_is_completed(shared: Path, first: Path, second: Path) -> None:
    (shared / "iris/versions/1").mkdir(parents=True)
    (shared / "iris/versions/1/estimator.joblib").write_bytes(b"half of")
    version_files.publish(first)
    assert opened(second, manifest(first).sha256).manifest == manifest(first)


def test_nothing_is_stored_without_a_storage(first: Path, second: Path) -> None:
    assert version_files.publish(first) == []
    version_files.pull(second)
    assert list(second.iterdir()) == []
    assert "artefacts" not in storages.backends
