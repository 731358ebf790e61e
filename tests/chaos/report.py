"""Writes docs/reference/reliability.md from the results of a run."""

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

`make chaos` writes this page. It runs the real processes of the Procfile with a real Redis, on SQLite and PostgreSQL.
Clients submit rows over HTTP at a steady rate while a fault is injected. Then the record of the clients is compared
with the database.

- **Run:** {command}, on {day}, in {minutes:.0f} minutes, seed {seed}
- **Machine:** {machine}
- **In all:** {accepted} predictions accepted, {finished} finished, {lost} lost, {duplicated} duplicated, {wrong} wrong
- **Verdict:** {verdict}

## Promises and checks

| promise | check |
|---|---|
| No loss | at the end of the scenario, each prediction that a client saw accepted (202) has a final state |
| One effect | a database trigger of the test counts the writes of a final state: one for each prediction |
| The right answer | the model answers 2x + 1 and x differs for each row, so the answer of another row is detected |
| No expiry | each row has time: one that expires counts as wrong |
| Nothing stuck | at the end no row is queued or running, including rows whose client got no response |
| Honest refusals | while no row can be stored, none is accepted; no 5xx except the documented 503 with `Retry-After` |
| Bounded time | no request takes 10 s; without Redis {redis_seconds:g} s, without database {database_seconds:g} s |

*Executions* counts attempts. If it exceeds the number of predictions, work was repeated, with one effect.
*Recovery* is the time from a fault to the final state of a prediction that was unfinished at that fault.
*Slowest answer* is the longest time from acceptance to the final state.
Leases last {lease:g} s here (25 s by default, at least 7 s), and the keeper sweeps every half second.

## Results

{table}

## Faults

{faults}

{notes}## Outside this page

- A run at half load (T20): `make soak` ([the last one](soak.md)).
- SQLite: a process that is suspended within a write transaction holds the write lock of the whole database. Rows are
  refused until it is resumed or killed, as in `database-pauses`.
- Malformed input (T17): Hypothesis and Schemathesis in `tests/integration`.
- Pages in a browser (T21): `tests/browser`.
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
    return "## Additional measurements\n\n" + "\n".join(lines) + "\n\n" if lines else ""
