"""The rows of models and versions: synchronized with the folders, promoted, and looked up."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from predictions.lifecycle import registry
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import Manifest
from tests.integration.conftest import statements
from tests.support.versions import add_version, rewrite


@pytest.fixture
def root(db: None, trained_models: Path, tmp_path: Path) -> Path:
    """A folder of one registered model, iris, with one version."""
    shutil.copytree(trained_models / "iris", tmp_path / "iris")
    return tmp_path


def iris() -> RegisteredModel:
    return RegisteredModel.objects.select_related("champion", "previous_champion").get(name="iris")


def numbers() -> list[int]:
    return list(ModelVersion.objects.order_by("number").values_list("number", flat=True))


# --- Sync -------------------------------------------------------------------------------------------------------------
def test_sync_of_a_new_folder_registers_it_and_lets_its_version_serve(root: Path) -> None:
    assert registry.sync(root) == []

    model = iris()
    assert (model.title, model.task, model.is_present) == ("Iris species", "classification", True)
    assert model.champion
    assert (model.champion.number, model.previous_champion) == (1, None)
    assert model.champion.manifest["signature"][0]["label"] == "Sepal length"
    assert "golden" not in model.champion.manifest


@pytest.mark.django_db(transaction=True)
def test_sync_holds_no_transaction_while_it_reads_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer at a time: no prediction would be accepted meanwhile."""
    read, within = repository.manifest, []

    def note(*arguments: Any) -> Manifest:
        within.append(connection.in_atomic_block)
        return read(*arguments)

    monkeypatch.setattr(repository, "manifest", note)

    assert registry.sync(root) == []
    assert within == [False]


def test_sync_twice_changes_nothing(root: Path) -> None:
    registry.sync(root)
    before = list(RegisteredModel.objects.values()), list(ModelVersion.objects.values())

    assert registry.sync(root) == []
    assert (list(RegisteredModel.objects.values()), list(ModelVersion.objects.values())) == before


def test_sync_of_changed_words_changes_the_words_and_nothing_else(root: Path) -> None:
    registry.sync(root)
    rewrite(root, 'title = "Iris species"', 'title = "Which iris?"')
    rewrite(root, 'label = "Sepal length"', 'label = "Length"')
    rewrite(root, "maximum = 50.0", "maximum = 49.0")

    assert registry.sync(root) == []

    model = iris()
    assert model.champion
    first = model.champion.manifest["signature"][0]
    assert (model.title, first["label"], first["maximum"]) == ("Which iris?", "Length", 50.0)


def test_sync_of_a_second_version_lets_it_wait(root: Path) -> None:
    registry.sync(root)
    add_version(root)

    assert registry.sync(root) == []

    model = iris()
    assert model.champion
    assert (numbers(), model.champion.number) == ([1, 2], 1)


def test_sync_of_a_removed_folder_hides_it_and_keeps_its_rows(root: Path) -> None:
    registry.sync(root)
    shutil.rmtree(root / "iris")

    assert registry.sync(root) == []

    assert (iris().is_present, numbers()) == (False, [1])
    assert list(RegisteredModel.objects.listed()) == []
    with pytest.raises(RegisteredModel.DoesNotExist):
        registry.find("iris")


def test_sync_of_a_folder_that_came_back_shows_it_again(root: Path) -> None:
    registry.sync(root)
    (root / "iris").rename(root / ".away")
    registry.sync(root)
    (root / ".away").rename(root / "iris")

    assert registry.sync(root) == []
    assert registry.find("iris").champion is not None


def test_sync_of_a_broken_description_keeps_what_was_known(root: Path) -> None:
    registry.sync(root)
    rewrite(root, 'title = "Iris species"', "title = ")

    broken = registry.sync(root)

    assert [error.path for error in broken] == [root / "iris/model.toml"]
    assert (iris().title, iris().is_present) == ("Iris species", True)


def test_sync_of_a_broken_folder_does_not_stop_the_others(root: Path, trained_models: Path) -> None:
    shutil.copytree(trained_models / "wine", root / "wine")
    rewrite(root, "[target]", "[target")

    broken = registry.sync(root)

    assert [error.path for error in broken] == [root / "iris/model.toml"]
    assert [model.name for model in RegisteredModel.objects.listed()] == ["wine"]


def test_sync_of_a_broken_manifest_names_it_and_keeps_the_version(root: Path) -> None:
    registry.sync(root)
    manifest = root / "iris/versions/1/version.json"
    manifest.unlink()
    manifest.write_text("{}")

    broken = registry.sync(root)

    assert [error.path for error in broken] == [manifest]
    champion = iris().champion
    assert champion
    assert champion.number == 1


def test_sync_of_an_exchanged_version_keeps_the_registered_hash(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry.sync(root)
    version = ModelVersion.objects.get()
    manifest = root / "iris/versions/1/version.json"
    text = manifest.read_text().replace(version.sha256, "0" * 64)
    manifest.unlink()
    manifest.write_text(text)

    with caplog.at_level(logging.ERROR, "predictions.lifecycle.registry"):
        registry.sync(root)

    assert ModelVersion.objects.get().sha256 == version.sha256
    assert [record.getMessage() for record in caplog.records] == [
        "iris v1: version.json names another artefact than was registered"
    ]


def test_sync_of_a_folder_without_versions_registers_a_model_that_does_not_serve(root: Path) -> None:
    shutil.rmtree(root / "iris/versions")

    assert registry.sync(root) == []
    assert iris().champion is None
    assert registry.champion(registry.find("iris")) is None


# --- Promote ----------------------------------------------------------------------------------------------------------
def test_promote_remembers_who_served_before(root: Path) -> None:
    add_version(root)
    registry.sync(root)
    first, second = ModelVersion.objects.order_by("number")
    model = iris()
    assert model.champion == second

    assert model.promote(first)
    assert (model.champion, model.previous_champion) == (first, second)
    assert model.promote(first)
    assert (model.champion, model.previous_champion) == (first, second)


def test_promote_after_somebody_else_did_says_so(root: Path) -> None:
    add_version(root)
    registry.sync(root)
    first = ModelVersion.objects.get(number=1)
    late = iris()
    RegisteredModel.objects.update(champion=None)

    assert not late.promote(first)
    assert (late.champion, late.previous_champion) == (None, None)


# --- Looking up -------------------------------------------------------------------------------------------------------
@pytest.fixture
def outdate(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes cached models out of date. Apart from that, the registry's clock stands still."""
    now = 1000.0

    def pass_time() -> None:
        nonlocal now
        now += registry.FRESH_SECONDS

    monkeypatch.setattr("predictions.lifecycle.registry.time.monotonic", lambda: now)
    return pass_time


def test_find_remembers_for_a_moment(root: Path, outdate: Callable[[], None]) -> None:
    registry.sync(root)
    registry.find("iris")
    with statements() as sent:
        registry.find("iris")
    assert sent == []

    outdate()
    with statements() as sent:
        registry.find("iris")
    assert len(sent) == 1


def test_find_reads_all_models_in_use_in_one_statement(
    registered: dict[str, RegisteredModel], outdate: Callable[[], None]
) -> None:
    first, second, unused, *_ = registered
    for name in (first, second, unused, first, second):
        registry.find(name)

    outdate()
    with statements() as sent:
        found = [registry.find(name) for name in (second, first)]

    assert len(sent) == 1
    assert [model.name for model in found] == [second, first]
    with statements() as sent:
        registry.find(unused)
    assert len(sent) == 1


def test_find_of_a_model_that_was_removed_raises(
    registered: dict[str, RegisteredModel], outdate: Callable[[], None]
) -> None:
    for name in ("iris", "wine", "iris", "wine"):
        registry.find(name)
    RegisteredModel.objects.filter(name="iris").update(is_present=False)

    outdate()
    assert registry.find("wine").name == "wine"
    with pytest.raises(RegisteredModel.DoesNotExist):
        registry.find("iris")


def test_find_sees_that_a_version_serves_no_more(root: Path, outdate: Callable[[], None]) -> None:
    registry.sync(root)
    assert registry.champion(registry.find("iris")) is not None
    ModelVersion.objects.mark_unavailable(ModelVersion.objects.get().pk, "broken")

    outdate()
    assert registry.champion(registry.find("iris")) is None


def test_marks_of_a_version_say_whether_they_are_news(root: Path) -> None:
    registry.sync(root)
    version = ModelVersion.objects.get().pk
    marks: Any = ModelVersion.objects

    assert [marks.mark_unavailable(version, "a"), marks.mark_unavailable(version, "a")] == [True, False]
    assert [marks.mark_unavailable(version, "b"), marks.mark_available(version)] == [True, True]
    assert marks.mark_available(version) is False
