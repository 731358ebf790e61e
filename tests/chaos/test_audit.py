"""The audit detects each broken promise."""

from dataclasses import replace

import pytest

from tests.chaos import audit
from tests.chaos.audit import Findings, Row
from tests.chaos.ledger import Accepted, Ledger, Submission
from tests.chaos.oracle import Outcome
from tests.chaos.scenario import Scene
from tests.chaos.stage import Stage
from tests.support.stack import Stack, connected

GOOD = Row(7, "succeeded", Outcome(15.0), 1, created_at=100.0, finished_at=100.5, ends=1)
HELD = Findings(1, 1, 0, 0, 0, 0, 1, recovery_p95=None, slowest=0.5)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(submitted={7: Submission(7)}, accepted={7: Accepted("a", 100.0)})


def test_right_row_has_no_finding(ledger: Ledger) -> None:
    assert audit.examine([GOOD], ledger) == HELD


def test_accepted_prediction_without_a_row_is_lost(ledger: Ledger) -> None:
    assert audit.examine([], ledger) == Findings(1, 0, 1, 0, 0, 0, 0, recovery_p95=None, slowest=0.0)


@pytest.mark.parametrize("rows", [[replace(GOOD, ends=2)], [GOOD, GOOD]], ids=["ended twice", "two rows"])
def test_second_effect_is_duplicated(ledger: Ledger, rows: list[Row]) -> None:
    assert audit.examine(rows, ledger).duplicated == 1


@pytest.mark.parametrize("outcome", [Outcome(17.0), Outcome(None, "worker_lost")], ids=["another row's", "no answer"])
def test_wrong_answer_is_counted(ledger: Ledger, outcome: Outcome) -> None:
    assert audit.examine([replace(GOOD, outcome=outcome)], ledger).wrong == 1


def test_allowed_error_is_right(ledger: Ledger) -> None:
    ledger.submitted[7] = Submission(7, allowed_errors=("model_unavailable",))
    assert audit.examine([replace(GOOD, outcome=Outcome(None, "model_unavailable"))], ledger).wrong == 0


def test_unfinished_row_is_stuck(ledger: Ledger) -> None:
    found = audit.examine([replace(GOOD, state="running", outcome=Outcome(None), finished_at=None, ends=0)], ledger)
    assert (found.stuck, found.finished, found.lost) == (1, 0, 0)


def test_recovery_starts_at_the_first_fault_during_a_row(ledger: Ledger) -> None:
    ledger.faults = [99.0, 100.1, 100.3, 101.0]
    assert audit.recoveries([GOOD], ledger.faults) == [pytest.approx(0.4)]


def test_trigger_counts_a_repeated_write(stage: Stage, shared_stack: Stack) -> None:
    scene = Scene(shared_stack, stage, 0.0, stage.random("audit"))
    assert scene.submit()
    scene.wait_until(lambda: not audit.unfinished(shared_stack), 30, "the row is finished")
    assert [row.ends for row in audit.read(shared_stack, scene.ledger)] == [1]
    with connected(shared_stack.database_url) as connection:
        connection.execute("UPDATE predictions_prediction SET output = output WHERE output IS NOT NULL")
        connection.commit()
    assert audit.examine(audit.read(shared_stack, scene.ledger), scene.ledger).duplicated == 1
    scene.close()
