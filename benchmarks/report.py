"""The text of docs/reference/performance.md, from the results of a run."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import goals
from benchmarks.figures import median_of_known, significant
from benchmarks.load import COARSE, LOST_SECONDS
from benchmarks.tables import (
    POLLING,
    WAITING,
    Contender,
    Json,
    advantage,
    contenders,
    faults,
    lookup,
    right_answers,
    service_series,
    table,
    value,
    workloads,
)
from benchmarks.workloads import KINDS

# The history of changes for speed, written by hand.
NOTES = Path(__file__).parent / "notes.md"
# Limits of these measurements.
NOT_MEASURED = """\
- RabbitMQ, several hosts, a network, TLS, a reverse proxy: everything ran on one machine over loopback.
- More cores than these. The load client shares them with the measured service.
- Files of many rows; pages other than the named one; larger estimators.
- Tuned peers: each is configured as its documentation describes for two cores.
- Long runs: a load lasts {seconds:g} s.
- Losses when processes crash: `tests/worker/` tests these for Foretell.
"""


def page(results: Json) -> str:
    parts = [
        _head(results), goals.section(results), _kept(results), _ratios(results), _figures(results),
        _resources(results), _single(results), _method(results), NOTES.read_text(), _not_measured(results),
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def throughputs(results: Json) -> dict[str, list[tuple[str, float]]]:
    """For the chart: by workload, the predictions per second of each contender at 32 connections."""
    return {
        workload: [
            (contender.title, figure)
            for contender in contenders(results, workload)
            if (figure := value(results, contender, workload, "32", "per_second")) is not None
        ]
        for workload in workloads(results)
    }


def _head(results: Json) -> str:
    machine, quick = results["machine"], "**A quick run: these figures mean nothing.**\n\n" if results["quick"] else ""
    rounds = len(results["rounds"])
    return f"""\
# Performance

<!-- Written by `make bench`. -->

{quick}Foretell compared with the reference design and with other model servers. The reference design is the usual
form of the same stack: a Django REST framework view, one Celery task for each row, the result in Redis, polling. Only
the ratios are claims: the absolute figures depend on the machine and the day.

{results["started"][:10]}, `{results["command"]}`, at {results["revision"] or "an unknown revision"}, rounds: {rounds}.
{machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["system"]}, {machine["file_system"]},
Python {machine["python"]}.
{_speed(results)}
All answers were compared with those of the estimator; {right_answers(results):,} were right.

![Predictions per second at 32 connections](performance.svg)
"""


def _speed(results: Json) -> str:
    """The sentences with the shortest and the longest time of the fixed calculation, over all loads."""
    times = [
        style["calibration_ms"]
        for round_ in results["rounds"]
        for service in round_["services"].values()
        for workload in service["workloads"].values()
        for style in workload.values()
    ]
    if not times:
        return ""
    return f"""\
A fixed calculation on all cores took {min(times):.0f} to {max(times):.0f} ms beside these loads. The more these differ,
the less a ratio says of services that were measured one after the other."""


def _kept(results: Json) -> str:
    rows = [[name, about["keeps"], about["gives"]] for name, about in results["services"].items()]
    return f"""\
## Stored data and responses of each service

A rate alone does not compare these services. A service that keeps nothing does less work for each answer, and it loses
the waiting requests when a process ends.

{table(["", "keeps", "gives"], rows, numbers=False)}"""


# --- Ratios ---------------------------------------------------------------------------------------------------------
def _ratios(results: Json) -> str:
    text = """\
## Ratios

The factor by which Foretell is better: more predictions per second, or less time. Below 1 the other service is better.
Each value is the median over the rounds of the ratio within a round. A star marks pairs in which one side gave wrong
answers, lost predictions or returned errors.
"""
    for ours in (WAITING, POLLING):
        text += f"\n**{_OURS[ours.style]}**\n\n{_ratio_table(results, ours)}"
    return text


_OURS = {
    "waiting": "One request that waits (`Prefer: wait=10`)",
    "polling": "Submit, then poll",
}
_COLUMNS = (
    ("32", "per_second", "per second at 32"),
    ("256", "per_second", "per second at 256"),
    ("256", "p99", "p99 at 256"),
    ("1", "p50", "p50 at 1"),
)


def _ratio_table(results: Json, ours: Contender) -> str:
    names = workloads(results)
    found = dict.fromkeys(one for name in names for one in contenders(results, name))
    others = [one for one in found if one.service != ours.service]
    head = ["against", *(f"{name}: {text}" for _, _, text in _COLUMNS for name in names)]
    cells = [(name, connections, figure) for connections, figure, _ in _COLUMNS for name in names]
    rows = [[other.title, *(_ratio(results, ours, other, *cell) for cell in cells)] for other in others]
    return table(head, rows)


def _ratio(results: Json, ours: Contender, other: Contender, workload: str, connections: str, figure: str) -> str:
    ratio = advantage(results, ours, other, workload, connections, figure)
    is_clean = not any(sum(faults(results, one, workload).values()) for one in (ours, other))
    return significant(ratio) + ("" if is_clean or ratio is None else "\\*")


# --- Figures --------------------------------------------------------------------------------------------------------
def _figures(results: Json) -> str:
    head = [
        "", "/s at 32", "p50 at 32", "p99 at 32", "/s at 256", "p99 at 256", "p50 at 1", "p90 at 1",
        "p50 at 1, fine polling", "requests per answer", "wrong, lost, errors", "machine",
    ]  # fmt: skip
    text = """\
## Figures

Medians of the rounds; times in milliseconds. "at 1" means one connection. "Machine" is the time of a fixed calculation
on all cores directly before and after the load: do not compare lines with different values.
"""
    for workload in workloads(results):
        rows = [_figure_row(results, contender, workload) for contender in contenders(results, workload)]
        text += f"\n**{workload}** — {KINDS[workload].text}\n\n{table(head, rows)}"
    return text


def _figure_row(results: Json, contender: Contender, workload: str) -> list[str]:
    cells = [
        ("32", "per_second"), ("32", "p50"), ("32", "p99"), ("256", "per_second"), ("256", "p99"),
        ("1", "p50"), ("1", "p90"), ("1 fine", "p50"), ("32", "requests_per_answer"),
    ]  # fmt: skip
    figures = [significant(value(results, contender, workload, *cell), 3) for cell in cells]
    bad = ", ".join(str(count) for count in faults(results, contender, workload).values())
    machine = median_of_known(
        service_series(results, contender.service, "workloads", workload, contender.style, "calibration_ms")
    )
    return [contender.title, *figures, bad, significant(machine, 3)]


def _resources(results: Json) -> str:
    head = [
        "",
        "memory idle, MB",
        "under load, MB",
        "first answer after, s",
        "page p50, ms",
        "page p99, ms",
        "page",
        "load",
    ]
    rows = []
    for service, about in results["services"].items():
        paths = [
            ("pss_idle_mb",), ("saturated", "pss_mb"), ("cold_start_s",),
            ("saturated", "page_ms", "p50"), ("saturated", "page_ms", "p99"),
        ]  # fmt: skip
        figures = [significant(median_of_known(service_series(results, service, *path)), 3) for path in paths]
        rows.append([service, *figures, f"`{about['page']}`", _saturating(results, service)])
    return f"""\
## Memory, start and pages

Memory is the proportional set size of all processes of a service, including Redis. "First answer" is the time since the
start of the processes. "Page" is the health check of each service, requested while the named load saturates the machine
at 32 connections.

{table(head, rows)}"""


def _saturating(results: Json, service: str) -> str:
    names = [lookup(round_, "services", service, "saturated", "workload") for round_ in results["rounds"]]
    return next(filter(None, names), "-")


def _single(results: Json) -> str:
    spans = {
        "queued_ms": "from the row's creation to its claim",
        "predict_ms": "the predict call",
        "total_ms": "from the row's creation to its result",
    }
    rows = [[text, *_single_figures(results, name)] for name, text in spans.items()]
    return f"""\
## A single row

The `timing` of a prediction in the API of Foretell. Half a second without requests comes before each, so that no worker
is still waiting for work:

{table(["milliseconds", "p50", "p90"], rows)}"""


def _single_figures(results: Json, name: str) -> list[str]:
    return [
        significant(median_of_known(service_series(results, "foretell", "single", name, share)), 3)
        for share in ("p50", "p90")
    ]


# --- How ------------------------------------------------------------------------------------------------------------
def _method(results: Json) -> str:
    services = "\n".join(
        f"- **{name}**: {about['text']}. "
        + ", ".join(f"{package} {version}" for package, version in about["versions"].items())
        + "."
        for name, about in results["services"].items()
    )
    return f"""\
## How it was measured

One asyncio client over keep-alive HTTP/1.1 measures all services. Each connection has one prediction at a time and
requests the next one directly, for {results["seconds"]:g} s. Polling starts at once and continues after
{_pauses(COARSE)} … ms; "fine" means every 1 to 5 ms. A rate counts right answers
only, until the last answer. "Lost" counts accepted predictions that did not finish in {LOST_SECONDS:g} s. One service
runs at a time. A round measures all services in turn, and each round starts with another service. Services
that no goal compares at 256 connections are measured at 32 only.

{services}
"""


def _pauses(seconds: Sequence[float]) -> str:
    return ", ".join(f"{pause * 1000:g}" for pause in seconds if pause)


def _not_measured(results: Json) -> str:
    failed = {
        f"{name} in round {number}: {reason}"
        for number, round_ in enumerate(results["rounds"], start=1)
        for name, reason in round_["failed"].items()
    }
    lines = [f"- {name}: not installed or not asked for.\n" for name in results["absent"]]
    lines += [f"- {sentence}\n" for sentence in sorted(failed)]
    return "## What was not measured\n\n" + NOT_MEASURED.format(seconds=results["seconds"]) + "".join(lines)
