import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection


@pytest.mark.parametrize("version", [(3, 35, 0), (3, 51, 3)])
def test_sqlite_that_returns_rows_will_do(settings: object, version: tuple[int, int, int]) -> None:
    settings.SQLITE_VERSION = version  # type: ignore[attr-defined]

    call_command("check")


def test_older_sqlite_is_refused_with_the_remedy(settings: object) -> None:
    settings.SQLITE_VERSION = (3, 34, 1)  # type: ignore[attr-defined]
    assert connection.vendor == "sqlite"

    with pytest.raises(SystemCheckError, match=r"SQLite 3\.34\.1 is too old(.|\n)*SQLite 3\.35 or newer"):
        call_command("check")


@pytest.mark.django_db
def test_sqlite_with_a_known_fault_is_a_warning_of_a_deployment(
    settings: object, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.SQLITE_VERSION = (3, 51, 2)  # type: ignore[attr-defined]

    call_command("check", "--deploy")

    assert "SQLite 3.51.2 has the WAL-reset bug" in capsys.readouterr().err
