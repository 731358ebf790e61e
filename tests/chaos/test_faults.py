"""Short versions of the scenarios of `make chaos`."""

from contextlib import nullcontext

import pytest

from tests.chaos.runner import run
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import Stage
from tests.support.stack import Stack

SUITE = [one for one in SCENARIOS.values() if one.in_suite]


def check_promises(one: Scenario, stage: Stage, stack: Stack) -> None:
    result = run(one, stage, nullcontext(stack), print)
    assert result.problems == []
    assert result.findings
    assert result.findings.accepted == result.findings.finished > 0


@pytest.mark.parametrize("one", [one for one in SUITE if one.opens is None], ids=lambda one: one.name)
def test_promises_are_kept(one: Scenario, stage: Stage, shared_stack: Stack) -> None:
    check_promises(one, stage, shared_stack)


@pytest.mark.parametrize("one", [one for one in SUITE if one.opens is not None], ids=lambda one: one.name)
def test_promises_are_kept_on_a_separate_stack(one: Scenario, stage: Stage) -> None:
    assert one.opens
    with one.opens(stage) as stack:
        check_promises(one, stage, stack)
