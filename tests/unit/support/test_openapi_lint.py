"""The check of the OpenAPI document, with programs in place of the two linters."""

from pathlib import Path

import pytest

from tests.support import openapi_lint


def linter(folder: Path, name: str, exit_status: int, says: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {exit_status}\n")
    program.chmod(0o755)


def test_complaints_of_both_linters_are_told(tmp_path: Path) -> None:
    linter(tmp_path, "spectral", 1, "operation-description")
    linter(tmp_path, "redocly", 1, "operation-summary")

    assert openapi_lint.complaints(tmp_path) == "spectral:\noperation-description\n\nredocly:\noperation-summary\n"


def test_clean_document_gives_no_complaint(tmp_path: Path) -> None:
    linter(tmp_path, "spectral", 0, "no results")
    linter(tmp_path, "redocly", 0, "valid")

    assert openapi_lint.complaints(tmp_path) == ""


def test_machine_without_npm_is_told_what_was_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert openapi_lint.main() == 0
    assert capsys.readouterr().out == "SKIPPED: the OpenAPI document was not linted, npm is not on the PATH\n"


def test_packages_that_cannot_be_installed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    linter(tmp_path, "npm", 1, "no network")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "var"))

    assert openapi_lint.main() == 0
    assert capsys.readouterr().out.startswith("SKIPPED: the OpenAPI document was not linted, npm could not install")


def test_lock_names_no_server() -> None:
    lock = (openapi_lint.PINNED / "package-lock.json").read_text()

    assert '"resolved"' not in lock
    assert lock.count('"integrity"') > 200
