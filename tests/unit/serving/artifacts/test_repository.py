import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import Manifest
from predictions.serving.artifacts.publication import write_version
from predictions.serving.artifacts.repository import (
    BrokenFile,
    NoSuchModel,
    NoSuchVersion,
    artefact,
    describe,
    descriptions,
    manifest,
    manifests,
)
from tests.unit.serving.conftest import DESCRIPTION


@pytest.mark.parametrize("name", ["..", "../fruit", "fruit/../fruit", "/etc", "", "Fruit", "fruit\n", "f\0", "a" * 65])
def test_name_from_outside_never_becomes_a_path(root: Path, name: str) -> None:
    for read in (lambda: describe(root, name), lambda: manifests(root, name), lambda: artefact(root, name, 1)):
        with pytest.raises(NoSuchModel):
            read()


def test_describe_reads_the_folder(root: Path) -> None:
    (root / "fruit" / "CARD.md").write_text("# Fruit")
    found = describe(root, "fruit")
    assert (found.name, found.title, found.card) == ("fruit", "Fruit", "# Fruit")
    assert found.signature.names == ("long side", "weight")
    assert [found.target.label(class_) for class_ in ("a", "c")] == ["Apple", "c"]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('kind = "number"', 'kind = "nmber"', "features.0"),
        ('title = "Fruit"\n', "", "title: Field required"),
        ('title = "Fruit"', "title = Fruit", "line 2"),
        ('groups = ["Size"]', "groups = []", "groups does not list Size"),
        ("= 40.0", "= 500.0", "example 'Small': long side: Must be at most 400 (mm)."),
        ("minimum = 0", "minimum = 900", "minimum 900.0 is above maximum 400.0"),
        ('unit = "mm"', 'unit = "m\\u0000m"', "features.0.unit: has a character that cannot be stored"),
    ],
)
def test_describe_broken_file_names_file_and_place(root: Path, old: str, new: str, place: str) -> None:
    path = root / "fruit" / "model.toml"
    path.write_text(DESCRIPTION.replace(old, new, 1))
    with pytest.raises(BrokenFile) as caught:
        describe(root, "fruit")
    assert str(path) in str(caught.value)
    assert place in str(caught.value)


def test_descriptions_broken_folders_do_not_take_others_down(root: Path) -> None:
    for name in ("broken", "Bad Name"):
        (root / name).mkdir()
        (root / name / "model.toml").write_text("title = 1")
    (root / "no-model").mkdir()
    broken: list[BrokenFile] = []
    assert [d.name for d in descriptions(root, broken.append)] == ["fruit"]
    assert [error.path for error in broken] == [root / "Bad Name", root / "broken" / "model.toml"]


def test_descriptions_no_folder_is_empty(tmp_path: Path) -> None:
    assert descriptions(tmp_path / "absent") == []


def test_versions_are_numbered_and_kept(root: Path, store: Callable[..., Manifest]) -> None:
    first, second = store(LogisticRegression()), store(LogisticRegression())
    assert [first.version, second.version] == [1, 2]
    assert manifests(root, "fruit") == [first, second]
    assert sorted(path.name for path in (root / "fruit" / "versions").iterdir()) == ["1", "2"]
    assert artefact(root, "fruit", 1).stat().st_mode & 0o777 == 0o444


def test_write_version_at_once_gives_each_its_own_number(root: Path, store: Callable[[], Manifest]) -> None:
    draft = store()
    start = threading.Barrier(8)
    written: list[Manifest] = []

    def write(content: bytes) -> None:
        start.wait()
        written.append(write_version(root, draft, content))

    threads = [threading.Thread(target=write, args=(bytes([n]),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(m.version for m in written) == list(range(2, 10))
    assert {artefact(root, "fruit", n).read_bytes() for n in range(2, 10)} == {bytes([n]) for n in range(8)}
    assert [m.version for m in manifests(root, "fruit")] == list(range(1, 10))


def test_write_version_that_fails_leaves_nothing(
    root: Path, store: Callable[[], Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = store()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("predictions.serving.artifacts.publication.os.fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_version(root, draft, b"x")
    assert [path.name for path in (root / "fruit" / "versions").iterdir()] == ["1"]


def test_manifest_unknown_version(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    with pytest.raises(NoSuchVersion):
        manifest(root, "fruit", 2)


def test_manifests_broken_version_does_not_take_others_down(root: Path, store: Callable[[], Manifest]) -> None:
    good = [store(), store()][1]
    path = root / "fruit" / "versions" / "1" / "version.json"
    path.chmod(0o644)
    path.write_text("{}")
    broken: list[BrokenFile] = []
    assert manifests(root, "fruit", broken.append) == [good]
    assert [error.path for error in broken] == [path]


def test_manifest_with_nul_names_the_place(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    path = root / "fruit" / "versions" / "1" / "version.json"
    path.chmod(0o644)
    path.write_text(path.read_text().replace("Apple", "App\\u0000le"))
    with pytest.raises(
        BrokenFile, match=r"version\.json: target\.labels\.0\.1: .*; labels\.0: has a character that cannot be stored"
    ):
        manifest(root, "fruit", 1)


def test_text_that_spells_the_escape_of_nul_is_read(root: Path) -> None:
    path = root / "fruit" / "model.toml"
    path.write_text(DESCRIPTION.replace('title = "Fruit"', r"title = '\u0000'", 1))
    assert describe(root, "fruit").title == r"\u0000"


def test_manifest_of_another_version_is_refused(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    versions = root / "fruit" / "versions"
    (versions / "1").rename(versions / "7")
    with pytest.raises(BrokenFile, match="says it is version 1 of fruit"):
        manifest(root, "fruit", 7)


def test_description_of_the_fixture_has_an_example(description: Description) -> None:
    assert [example.title for example in description.examples] == ["Small"]
