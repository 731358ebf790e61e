"""Runs scenarios: load and fault, then a comparison of the record of the clients with the database."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import pytest

from tests.chaos import audit
from tests.chaos.audit import Findings
from tests.chaos.load import Load
from tests.chaos.scenario import NotRunnable, PromiseBroken, Scenario, Scene
from tests.chaos.stage import LINES, Stage
from tests.support.stack import Stack


@dataclass
class Result:
    """The result of one scenario on one database. `findings` is None if it did not run or raised an error."""

    scenario: Scenario
    database: str
    findings: Findings | None = None
    problems: list[str] = field(default_factory=list)
    not_run: str = ""
    notes: list[str] = field(default_factory=list)
    refused: int = 0
    without_response: int = 0
    longest: float = 0.0
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return not self.problems

    @property
    def verdict(self) -> str:
        if self.not_run:
            return f"not run here: {self.not_run}"
        return "**broken**: " + "; ".join(self.problems) if self.problems else "held"


def run_all(stage: Stage, scenarios: Sequence[Scenario], log: Callable[[str], None]) -> Iterator[Result]:
    """Run the scenarios that share a stack, then those with their own stack."""
    shared = [one for one in scenarios if one.opens is None]
    if shared:
        with stage.stack() as stack:
            stack.start(*LINES)
            for one in shared:
                yield run(one, stage, nullcontext(stack), log)
    for one in scenarios:
        if one.opens is not None:
            yield run(one, stage, _opened(one, stage), log)


def _opened(one: Scenario, stage: Stage) -> AbstractContextManager[Stack]:
    assert one.opens is not None
    return one.opens(stage)


def run(one: Scenario, stage: Stage, opening: AbstractContextManager[Stack], log: Callable[[str], None]) -> Result:
    """Run one scenario. Errors are recorded in the result."""
    result = Result(one, stage.database)
    start = time.monotonic()
    if one.only_on and one.only_on[0] != stage.database:
        result.not_run = one.only_on[1]
        log(f"{stage.database:8} {one.tests:4} {one.name}: {result.verdict}")
        return result
    log(f"{stage.database:8} {one.tests:4} {one.name}: {one.does}")
    try:
        with opening as stack:
            _run(one, stage, stack, result)
    except NotRunnable as error:
        result.not_run = str(error)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - any error is recorded, and the next scenario runs
        traceback.print_exc()
        result.problems.append(f"{type(error).__name__}: {error}".splitlines()[0])
    result.seconds = time.monotonic() - start
    log(f"{stage.database:8} {one.tests:4} {one.name}: {_summary(result)}")
    return result


def _run(one: Scenario, stage: Stage, stack: Stack, result: Result) -> None:
    if missing := [name for name in one.starts if not stack[name].is_running]:
        stack.start(*missing)
    scene = Scene(stack, stage, one.quick_seconds if stage.quick else one.seconds, stage.random(one.name))
    load = Load(
        str(stack.client.base_url), scene.ledger, stage.numbers, one.rate, one.row_seconds, one.threads, one.insists,
        one.on_accepted(stack) if one.on_accepted else None,
    )  # fmt: skip
    try:
        with load:
            one.fault(scene)
    except (PromiseBroken, AssertionError) as error:
        result.problems.append(str(error))
    finally:
        _restore(one, stack)
        scene.close()
    _settle(one, scene, result)
    if result.problems:
        for name, tail in stack.log_tails(40).items():
            print(f"--- log of {name} ---\n{tail}", file=sys.stderr)


def _restore(one: Scenario, stack: Stack) -> None:
    """Start or resume the processes of the scenario after its fault."""
    for name in one.starts:
        line = stack[name]
        line.thaw() if line.is_running else line.start()


def _settle(one: Scenario, scene: Scene, result: Result) -> None:
    """Wait until all predictions are finished, then check the promises."""
    stack, ledger, factor = scene.stack, scene.ledger, scene.stage.time_factor
    end = time.monotonic() + one.settles * factor
    while audit.unfinished(stack) and time.monotonic() < end:
        time.sleep(0.2)
    result.findings = findings = audit.examine(audit.read(stack, ledger), ledger)
    result.notes, result.longest = scene.notes, ledger.longest
    result.refused, result.without_response = ledger.refused, ledger.without_response
    for name in ("lost", "duplicated", "wrong", "stuck"):
        if count := getattr(findings, name):
            result.problems.append(f"{count} {name}")
    if findings.finished != findings.accepted:
        result.problems.append(f"{findings.accepted - findings.finished} accepted without a final state")
    if not findings.accepted:
        result.problems.append("nothing was accepted")
    result.problems += [f"{count} times {text}" for text, count in ledger.unexpected.most_common(3)]
    if ledger.refused and not one.refuses and not scene.stage.may_refuse:
        result.problems.append(f"{ledger.refused} refused")
    if one.recovers and (findings.recovery_p95 or 0.0) > one.recovers * factor:
        result.problems.append(f"recovery p95 {findings.recovery_p95:.1f} s, more than {one.recovers:g}")
    if ledger.longest > one.longest * factor:
        result.problems.append(f"a request took {ledger.longest:.1f} s, more than {one.longest:g}")


def _summary(result: Result) -> str:
    found = result.findings
    if found is None:
        return result.verdict
    recovery = "-" if found.recovery_p95 is None else f"{found.recovery_p95:.1f} s"
    return (
        f"{found.accepted} accepted, {found.finished} finished, {found.lost} lost, {found.duplicated} duplicated, "
        f"{found.wrong} wrong, {found.executions} executions, recovery p95 {recovery}, "
        f"slowest answer {found.slowest:.1f} s, {result.refused} refused, {result.without_response} without response, "
        f"longest request {result.longest:.1f} s, {result.seconds:.0f} s: {result.verdict}"
    )
