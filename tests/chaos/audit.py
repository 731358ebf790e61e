"""Checks the promises in the database: no lost prediction, one effect, the right answer, no stuck prediction.

A trigger of the tests counts each write of a final state or of an output, in the transaction of that write. It detects
a second effect even if that writes the same values again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.chaos.ledger import Ledger
from tests.chaos.load import stored_key
from tests.chaos.oracle import Outcome, expected, outcome_of
from tests.support.stack import TERMINAL, Stack, connected

ENDED = ", ".join(f"'{state}'" for state in sorted(TERMINAL))
SQLITE = f"""
CREATE TABLE chaos_end (prediction_id text);
CREATE TRIGGER chaos_end AFTER UPDATE OF state, output ON predictions_prediction WHEN NEW.state IN ({ENDED})
BEGIN INSERT INTO chaos_end VALUES (NEW.id); END;
"""
POSTGRES = f"""
CREATE TABLE chaos_end (prediction_id uuid);
CREATE FUNCTION chaos_end() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO chaos_end VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER chaos_end AFTER UPDATE OF state, output ON predictions_prediction
FOR EACH ROW WHEN (NEW.state IN ({ENDED})) EXECUTE FUNCTION chaos_end();
"""
UNFINISHED = f"SELECT count(*) AS n FROM predictions_prediction WHERE state NOT IN ({ENDED})"
ROWS = """
SELECT k.key, p.state, p.error_code, p.attempts, p.output, p.created_at, p.finished_at, e.ends
FROM predictions_idempotencykey k
JOIN predictions_prediction p ON p.id = k.prediction_id
LEFT JOIN (SELECT prediction_id, count(*) AS ends FROM chaos_end GROUP BY prediction_id) e ON e.prediction_id = p.id
WHERE k.key BETWEEN '{first}' AND '{last}'
"""


def install(database_url: str) -> None:
    """Install the trigger in a database."""
    with connected(database_url) as connection:
        if database_url.startswith("postgres"):
            connection.execute(POSTGRES)
        else:
            connection.executescript(SQLITE)


def unfinished(stack: Stack) -> int:
    return int(stack.query(UNFINISHED)[0]["n"])


@dataclass(frozen=True)
class Row:
    """A stored prediction. `ends` counts the writes of its final state or output."""

    number: int
    state: str
    outcome: Outcome
    attempts: int
    created_at: float
    finished_at: float | None
    ends: int

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL


@dataclass(frozen=True)
class Findings:
    """The state of the predictions of a scenario: those that a client saw accepted, and those without a response."""

    accepted: int
    finished: int
    lost: int
    duplicated: int
    wrong: int
    stuck: int
    executions: int
    recovery_p95: float | None
    slowest: float


def examine(rows: Sequence[Row], ledger: Ledger) -> Findings:
    finished = {row.number for row in rows if row.is_terminal}
    return Findings(
        accepted=len(ledger.accepted),
        finished=len(finished & ledger.accepted.keys()),
        lost=len(ledger.accepted.keys() - {row.number for row in rows}),
        duplicated=sum(row.ends > 1 for row in rows) + len(rows) - len({row.number for row in rows}),
        wrong=sum(not _is_right(row, ledger) for row in rows if row.is_terminal),
        stuck=sum(not row.is_terminal for row in rows),
        executions=sum(row.attempts for row in rows),
        recovery_p95=percentile_95(recoveries(rows, ledger.faults)),
        slowest=max((row.finished_at - row.created_at for row in rows if row.finished_at), default=0.0),
    )


def _is_right(row: Row, ledger: Ledger) -> bool:
    submission = ledger.submitted[row.number]
    right = submission.answer or expected(submission.x)
    return row.outcome.matches(right) or row.outcome.error_code in submission.allowed_errors


def recoveries(rows: Sequence[Row], faults: Sequence[float]) -> list[float]:
    """For each row that was unfinished at a fault: the seconds from its first fault to its final state."""
    seconds = []
    for row in rows:
        hits = [at for at in faults if row.finished_at and row.created_at <= at < row.finished_at]
        if row.finished_at and hits:
            seconds.append(row.finished_at - min(hits))
    return seconds


def percentile_95(values: Sequence[float]) -> float | None:
    return sorted(values)[int(len(values) * 0.95)] if values else None


def read(stack: Stack, ledger: Ledger) -> list[Row]:
    if not ledger.submitted:
        return []
    first, last = stored_key(min(ledger.submitted)), stored_key(max(ledger.submitted))
    return [_row(row) for row in stack.query(ROWS.format(first=first, last=last))]


def _row(row: Any) -> Row:
    return Row(
        int(row["key"].rpartition(":")[2]),
        row["state"],
        outcome_of(row["output"], row["error_code"]),
        row["attempts"],
        _timestamp(row["created_at"]) or 0.0,
        _timestamp(row["finished_at"]),
        row["ends"] or 0,
    )


def _timestamp(value: Any) -> float | None:
    """Seconds since the epoch. SQLite stores times as text, in UTC."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    return value.timestamp() if value else None
