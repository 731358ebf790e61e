"""Files of the service are readable by its own user only."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from project.private import make_private


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.rglob("*"))}


def test_new_folder_and_new_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "above/var"

    make_private(folder)
    (folder / "data").mkdir()
    (folder / "data/rows").write_text("")

    assert modes(tmp_path / "above") == {"above": 0o700, "var": 0o700, "data": 0o700, "rows": 0o600}


def test_files_of_an_earlier_version_become_private(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    (folder / "redis").mkdir(parents=True)
    for name in ("foretell.sqlite3", "redis/log", "program"):
        (folder / name).write_text("")
    (folder / "program").chmod(0o755)
    (tmp_path / "elsewhere").write_text("")
    (folder / "link").symlink_to(tmp_path / "elsewhere")

    make_private(folder)

    found = modes(folder)
    assert found.pop("link") == 0o644
    assert found == {"var": 0o700, "redis": 0o700, "log": 0o600, "foretell.sqlite3": 0o600, "program": 0o700}


def test_shared_folder_stays_shared(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)

    make_private(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_uploaded_file_is_private(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"  # type: ignore[attr-defined]

    name = default_storage.save("jobs/rows.csv", ContentFile(b"a,b"))

    assert stat.S_IMODE((tmp_path / "media" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "media/jobs").stat().st_mode) == 0o700
