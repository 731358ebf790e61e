from datetime import UTC, datetime, timedelta

import pytest

from predictions.models import Prediction, State
from predictions.monitoring.board import Filter, cursor_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("model", "state", "chosen"),
    [
        ("", "", Filter()),
        ("iris", "failed", Filter("iris", "failed")),
        ("iris", "queued", Filter("iris", "queued")),
        ("iris", "x", Filter("iris", "")),
        ("\0", "failed", Filter("", "failed")),
        ("../etc", "", Filter()),
    ],
)
def test_filter_ignores_impossible_values(model: str, state: str, chosen: Filter) -> None:
    assert Filter.of(model, state) == chosen


def test_cursor_changes_with_the_newest_row_only() -> None:
    old, new = (
        Prediction(state=State.SUCCEEDED, finished_at=NOW + timedelta(microseconds=number)) for number in (0, 1)
    )

    assert cursor_of([]) == "0"
    assert cursor_of([new, old]) == cursor_of([new])
    assert cursor_of([new]) > cursor_of([old]) > cursor_of([])
