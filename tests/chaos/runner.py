"""Runs scenarios: load, fault, rest, and then the books of the client against those of the database."""

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
from tests.chaos.scenario import Broken, NotRunHere, Scenario, Scene
from tests.chaos.stage import LINES, Stage
from tests.support.stack import Stack


@dataclass
class Result:
    """One scenario on one database. Without findings it was not run, and says why."""

    scenario: Scenario
    database: str
    findings: Findings | None = None
    problems: list[str] = field(default_factory=list)
    not_run: str = ""
    notes: list[str] = field(default_factory=list)
    refused: int = 0
    unanswered: int = 0
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


def programme(stage: Stage, scenarios: Sequence[Scenario], say: Callable[[str], None]) -> Iterator[Result]:
    """Those that share a stack first, then the others."""
    shared = [one for one in scenarios if one.opens is None]
    if shared:
        with stage.stack() as stack:
            stack.start(*LINES)
            for one in shared:
                yield run(one, stage, nullcontext(stack), say)
    for one in scenarios:
        if one.opens is not None:
            yield run(one, stage, _opened(one, stage), say)


def _opened(one: Scenario, stage: Stage) -> AbstractContextManager[Stack]:
    assert one.opens is not None
    return one.opens(stage)


def run(one: Scenario, stage: Stage, opening: AbstractContextManager[Stack], say: Callable[[str], None]) -> Result:
    """Whatever goes wrong is in the result."""
    result = Result(one, stage.database)
    start = time.monotonic()
    if one.only_on and one.only_on[0] != stage.database:
        result.not_run = one.only_on[1]
        say(f"{stage.database:8} {one.tests:4} {one.name}: {result.verdict}")
        return result
    say(f"{stage.database:8} {one.tests:4} {one.name}: {one.does}")
    try:
        with opening as stack:
            _run(one, stage, stack, result)
    except NotRunHere as error:
        result.not_run = str(error)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is told, and the next one runs
        traceback.print_exc()
        result.problems.append(f"{type(error).__name__}: {error}".splitlines()[0])
    result.seconds = time.monotonic() - start
    say(f"{stage.database:8} {one.tests:4} {one.name}: {_summary(result)}")
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
    except (Broken, AssertionError) as error:
        result.problems.append(str(error))
    finally:
        _mend(one, stack)
        scene.close()
    _settle(one, scene, result)
    if result.problems:
        for name, tail in stack.log_tails(15).items():
            print(f"--- log of {name} ---\n{tail}", file=sys.stderr)


def _mend(one: Scenario, stack: Stack) -> None:
    """Start or wake what the fault has left behind; nothing that it never had."""
    for name in one.starts:
        line = stack[name]
        line.thaw() if line.is_running else line.start()


def _settle(one: Scenario, scene: Scene, result: Result) -> None:
    """Wait until nothing is unfinished, and compare the books."""
    stack, ledger, patience = scene.stack, scene.ledger, scene.stage.patience
    end = time.monotonic() + one.settles * patience
    while audit.unfinished(stack) and time.monotonic() < end:
        time.sleep(0.2)
    result.findings = findings = audit.examine(audit.read(stack, ledger), ledger)
    result.notes, result.longest = scene.notes, ledger.longest
    result.refused, result.unanswered = ledger.refused, ledger.unanswered
    for name in ("lost", "duplicated", "wrong", "stuck"):
        if count := getattr(findings, name):
            result.problems.append(f"{count} {name}")
    if findings.finished != findings.accepted:
        result.problems.append(f"{findings.accepted - findings.finished} accepted without an end")
    if not findings.accepted:
        result.problems.append("nothing was accepted")
    result.problems += [f"{count} times {text}" for text, count in ledger.unexpected.most_common(3)]
    if ledger.refused and not one.refuses and not scene.stage.is_patient:
        result.problems.append(f"{ledger.refused} refused")
    if ledger.longest > one.longest * patience:
        result.problems.append(f"a request took {ledger.longest:.1f} s, more than {one.longest:g}")


def _summary(result: Result) -> str:
    found = result.findings
    if found is None:
        return result.verdict
    recovery = "-" if found.recovery_p95 is None else f"{found.recovery_p95:.1f} s"
    return (
        f"{found.accepted} accepted, {found.finished} finished, {found.lost} lost, {found.duplicated} duplicated, "
        f"{found.wrong} wrong, {found.executions} executions, recovery p95 {recovery}, "
        f"slowest answer {found.slowest:.1f} s, {result.refused} refused, {result.unanswered} unanswered, "
        f"longest request {result.longest:.1f} s, {result.seconds:.0f} s: {result.verdict}"
    )
