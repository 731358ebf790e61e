"""The short programme: the same faults as `make chaos`, each for some seconds."""

from contextlib import nullcontext

import pytest

from tests.chaos.runner import run
from tests.chaos.scenario import Scenario
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import Stage
from tests.support.stack import Stack

SUITE = [one for one in SCENARIOS.values() if one.in_suite]


def check(one: Scenario, stage: Stage, stack: Stack) -> None:
    result = run(one, stage, nullcontext(stack), print)
    assert result.problems == []
    assert result.findings
    assert result.findings.accepted == result.findings.finished > 0


@pytest.mark.parametrize("one", [one for one in SUITE if one.opens is None], ids=lambda one: one.name)
def test_promises_are_kept(one: Scenario, stage: Stage, shared_stack: Stack) -> None:
    check(one, stage, shared_stack)


@pytest.mark.parametrize("one", [one for one in SUITE if one.opens is not None], ids=lambda one: one.name)
def test_promises_are_kept_on_a_stack_of_its_own(one: Scenario, stage: Stage) -> None:
    assert one.opens
    with one.opens(stage) as stack:
        check(one, stage, stack)
