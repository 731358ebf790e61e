"""docs/reference/reliability.md, from the results of a run."""

import platform
from collections.abc import Sequence
from datetime import date

from benchmarks.machine import describe
from project.env import BASE_DIR
from tests.chaos.runner import Result
from tests.chaos.scenarios import brokers, databases, position
from tests.chaos.stage import LEASE_SECONDS

PAGE = BASE_DIR / "docs/reference/reliability.md"
HEAD = (
    "fault", "database", "accepted", "finished", "lost", "duplicated", "wrong", "executions", "recovery p95",
    "slowest answer", "verdict",
)  # fmt: skip

TEXT = """# Reliability

This page is written by `make chaos`: real processes (the lines of the Procfile), a real Redis, SQLite and PostgreSQL.
Clients ask over HTTP at a steady rate while a fault is made; then the client's books are compared with the database.

- **Run:** {command}, on {day}, in {minutes:.0f} minutes, seed {seed}
- **Machine:** {machine}
- **In all:** {accepted} predictions accepted, {finished} finished, {lost} lost, {duplicated} duplicated, {wrong} wrong
- **Verdict:** {verdict}

## What is promised, and how it is checked

| promise | check |
|---|---|
| Nothing is lost | each prediction that a client saw accepted (202) has ended when the scenario is over |
| One effect | a trigger of the test writes down each time that an end is stored: once for each prediction |
| The right answer | the model answers 2x + 1, and x is another for each row: an answer of another row shows |
| Nothing is stuck | no row is queued or running at the end, not even one whose client got no answer |
| Honest | while nothing can be kept, nothing is accepted; no 5xx but the documented 503 with `Retry-After` |
| Nobody hangs | no request takes 10 s; {redis_seconds:g} s without Redis, {database_seconds:g} s without database |

*Executions* are attempts: where there are more of them than predictions, work was done again, with one effect.
*Recovery* is of what was unfinished when a fault struck: the time from that moment to its end.
The *slowest answer* is the longest time from acceptance to the end.
Leases last {lease:g} s here (25 s by default, 7 s at the shortest), and the keeper sweeps every half second.

## Results

{table}

## What was done

{faults}

{notes}## Not in this page

- A soak of hours at half load (T20).
- Malformed input (T17): Hypothesis and Schemathesis in `tests/integration`; pages in a browser (T21): `tests/browser`.
"""


def page(results: Sequence[Result], *, command: str, seed: int, seconds: float) -> str:
    results = sorted(results, key=lambda result: position(result.scenario))
    found = [result.findings for result in results if result.findings]
    broken = [result for result in results if not result.held]
    totals = {
        name: sum(getattr(one, name) for one in found)
        for name in ("accepted", "finished", "lost", "duplicated", "wrong")
    }
    return TEXT.format(
        command=f"`{command}`",
        day=date.today().isoformat(),
        minutes=seconds / 60,
        seed=seed,
        machine=machine(),
        verdict=f"{len(broken)} scenarios broken" if broken else "every promise held",
        redis_seconds=brokers.LONGEST,
        database_seconds=databases.LONGEST,
        lease=LEASE_SECONDS,
        table=table(results),
        faults=_faults(results),
        notes=_notes(results),
        **{name: f"{count:,}" for name, count in totals.items()},
    )


def machine() -> str:
    found = describe(BASE_DIR)
    return (
        f"{found['cores']} cores ({found['cpu'] or platform.machine()}), {found['memory_gib']} GiB, {found['system']}, "
        f"Python {found['python']}"
    )


def table(results: Sequence[Result]) -> str:
    lines = [HEAD, ("---", "---", *("--:",) * 8, "---"), *(_row(result) for result in results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(result: Result) -> tuple[str, ...]:
    name, found = f"{result.scenario.name} ({result.scenario.tests})", result.findings
    if found is None:
        return (name, result.database, *("-",) * 8, result.verdict)
    recovery = "-" if found.recovery_p95 is None else f"{found.recovery_p95:.1f} s"
    counts = (found.accepted, found.finished, found.lost, found.duplicated, found.wrong, found.executions)
    return (
        name,
        result.database,
        *(str(count) for count in counts),
        recovery,
        f"{found.slowest:.1f} s",
        result.verdict,
    )


def _faults(results: Sequence[Result]) -> str:
    scenarios = {result.scenario.name: result.scenario for result in results}
    return "\n".join(f"- **{one.name}** ({one.tests}): {one.does}" for one in scenarios.values())


def _notes(results: Sequence[Result]) -> str:
    lines = [f"- {result.scenario.name}, {result.database}: {note}." for result in results for note in result.notes]
    return "## Measured beside\n\n" + "\n".join(lines) + "\n\n" if lines else ""
