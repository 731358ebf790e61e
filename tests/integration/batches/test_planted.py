"""A file with every kind of fault in random order: its bad rows are exactly those of the reference list."""

import io

import pytest

from predictions.batches import reader
from predictions.models import RegisteredModel
from tests.support import planted
from tests.support.files import bad_rows, correct, results, score

pytestmark = pytest.mark.django_db
ROWS = 4_000


@pytest.mark.parametrize("share", [0.01, 0.04])
def test_bad_rows_of_a_file_with_all_faults_are_those_of_the_reference(kinds: RegisteredModel, share: float) -> None:
    assert kinds.champion is not None
    source, buffer = planted.Source(kinds.champion.signature), io.BytesIO()
    reference = planted.write(buffer, source, ROWS, share)
    assert set(reference.kinds) == {"", *planted.FAULTS}

    job = score(kinds, buffer.getvalue())

    assert list(planted.found_in(iter(bad_rows(job)))) == reference.errors
    assert len(results(job)) == ROWS

    job = correct(job, b"".join(planted.corrections(source, reference)))

    assert bad_rows(job) == []
    assert [row[planted.ROW] for row in results(job)] == [str(number) for number in range(ROWS)]
    assert all(row["prediction"] for row in results(job))


def test_reference_holds_wherever_a_read_of_the_file_ends(
    kinds: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kinds.champion is not None
    source, buffer = planted.Source(kinds.champion.signature), io.BytesIO()
    reference = planted.write(buffer, source, 1_000, 0.04)
    for name in ("FIRST_WINDOW", "SMALLEST_WINDOW", "LARGEST_WINDOW"):
        monkeypatch.setattr(reader, name, 777)

    job = score(kinds, buffer.getvalue())

    assert list(planted.found_in(iter(bad_rows(job)))) == reference.errors
