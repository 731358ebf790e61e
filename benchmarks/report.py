"""docs/reference/performance.md, from the results of a run."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import middle, significant
from benchmarks.load import COARSE, LOST_SECONDS
from benchmarks.tables import (
    POLLING,
    WAITING,
    Contender,
    Json,
    advantage,
    answers,
    contenders,
    faults,
    of_service,
    table,
    value,
    workloads,
)
from benchmarks.workloads import KINDS

# What was changed for speed, kept by hand.
NOTES = Path(__file__).parent / "notes.md"
# What cannot be said from these measurements, and would be missed.
NOT_MEASURED = """\
- PostgreSQL, RabbitMQ, several hosts, a network, TLS, a proxy in front: all of this ran on one machine over loopback.
- More than these cores. The load client shares them with whatever it measures.
- Files of many rows; pages other than the one named; estimators larger than these.
- A peer that somebody has tuned: each stands here as its documentation sets it up for two cores.
- Long runs: a load lasts {seconds:g} s.
- What is lost when processes die: that is no speed, and the tests in `tests/worker/` show it for Foretell.
"""


def page(results: Json) -> str:
    parts = [
        _head(results), _ratios(results), _figures(results), _beside(results),
        _alone(results), _method(results), NOTES.read_text(), _not_measured(results),
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def throughputs(results: Json) -> dict[str, list[tuple[str, float]]]:
    """For the chart: by workload, what each contender carries at 32 connections."""
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

{quick}Foretell beside the reference design, which is the same stack as it is usually put together (a Django REST
framework view, one Celery task for each row, the result in Redis, polling), and beside other model servers. Only
ratios are claims: the figures behind them belong to one machine on one day.

{results["started"][:10]}, `{results["command"]}`, at {results["revision"] or "an unknown revision"}, rounds: {rounds}.
{machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["system"]}, {machine["file_system"]},
Python {machine["python"]}.
Every one of {answers(results):,} answers was compared with the estimator's own.

![Predictions a second at 32 connections](performance.svg)
"""


# --- Ratios -----------------------------------------------------------------------------------------------------------
def _ratios(results: Json) -> str:
    text = """\
## Ratios

How many times better Foretell is: more predictions a second, or less time. Below 1 the other is better. Each is the
median over the rounds of the ratio within a round. A star marks a side that gave wrong answers, lost some or refused
some.
"""
    for ours in (WAITING, POLLING):
        text += f"\n**{_OURS[ours.way]}**\n\n{_ratio_table(results, ours)}"
    return text


_OURS = {
    "waiting": "One request that waits (`Prefer: wait=10`)",
    "polling": "Submit, then poll",
}
_COLUMNS = (
    ("32", "per_second", "a second at 32"),
    ("256", "per_second", "a second at 256"),
    ("256", "p99", "p99 at 256"),
    ("1", "p50", "p50 alone"),
)


def _ratio_table(results: Json, ours: Contender) -> str:
    names = workloads(results)
    others = [one for one in contenders(results, names[0]) if one.service != ours.service]
    head = ["against", *(f"{name}: {text}" for _, _, text in _COLUMNS for name in names)]
    cells = [(name, crowd, figure) for crowd, figure, _ in _COLUMNS for name in names]
    rows = [[other.title, *(_ratio(results, ours, other, *cell) for cell in cells)] for other in others]
    return table(head, rows)


def _ratio(results: Json, ours: Contender, other: Contender, workload: str, crowd: str, figure: str) -> str:
    ratio = advantage(results, ours, other, workload, crowd, figure)
    is_clean = not any(sum(faults(results, one, workload).values()) for one in (ours, other))
    return significant(ratio) + ("" if is_clean or ratio is None else "\\*")


# --- Figures ----------------------------------------------------------------------------------------------------------
def _figures(results: Json) -> str:
    head = [
        "", "/s at 32", "p50 at 32", "p99 at 32", "/s at 256", "p99 at 256", "p50 alone", "p90 alone",
        "p50 alone, fine polling", "requests each", "wrong, lost, errors", "machine",
    ]  # fmt: skip
    text = """\
## Figures

Medians of the rounds; times in milliseconds. "Machine" is how long a fixed piece of pure Python took on all cores just
before and after: lines whose machine differs do not compare.
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
    machine = middle(of_service(results, contender.service, "workloads", workload, contender.way, "calibration_ms"))
    return [contender.title, *figures, bad, significant(machine, 3)]


def _beside(results: Json) -> str:
    head = ["", "memory idle, MB", "under load, MB", "first answer after, s", "page p50, ms", "page p99, ms", "page"]
    rows = []
    for service, told in results["services"].items():
        paths = [
            ("pss_idle_mb",), ("saturated", "pss_mb"), ("cold_start_s",),
            ("saturated", "page_ms", "p50"), ("saturated", "page_ms", "p99"),
        ]  # fmt: skip
        figures = [significant(middle(of_service(results, service, *path)), 3) for path in paths]
        rows.append([service, *figures, f"`{told['page']}`"])
    return f"""\
## Beside the predictions

Memory is the proportional set size of all processes of a service, Redis among them; "first answer" counts from the
start of the processes; "page" is a cheap page asked for while {_saturating(results)} saturates the machine at 32
connections, of every service its health check.

{table(head, rows)}"""


def _saturating(results: Json) -> str:
    names = [one["saturated"]["workload"] for round_ in results["rounds"] for one in round_["services"].values()]
    return names[0] if names else "nothing"


def _alone(results: Json) -> str:
    spans = {
        "queued_ms": "from the row's creation to its claim",
        "predict_ms": "the predict call",
        "total_ms": "from the row's creation to its result",
    }
    rows = [[text, *_lone_figures(results, name)] for name, text in spans.items()]
    return f"""\
## A lone row

Foretell's own account of a prediction (`timing` in the API) when half a second of silence went before, so that no
worker lingers:

{table(["milliseconds", "p50", "p90"], rows)}"""


def _lone_figures(results: Json, name: str) -> list[str]:
    return [significant(middle(of_service(results, "foretell", "lone", name, share)), 3) for share in ("p50", "p90")]


# --- How --------------------------------------------------------------------------------------------------------------
def _method(results: Json) -> str:
    services = "\n".join(
        f"- **{name}**: {told['text']}. Keeps {told['keeps']}. "
        + ", ".join(f"{package} {version}" for package, version in told["versions"].items())
        + "."
        for name, told in results["services"].items()
    )
    return f"""\
## How it was measured

One client in asyncio over raw keep-alive HTTP/1.1 asks all of them: each connection has one prediction at a time and
asks for the next at once, for {results["seconds"]:g} s. A prediction that is polled is looked at at once, then after
{_pauses(COARSE)} … ms; "fine" means every 1 to 5 ms. A rate counts right
answers only, until the last is there. "Lost" is what was accepted and did not end in {LOST_SECONDS:g} s. One service
runs at a time, from its start to its end; a round takes all in turn, and each round begins with another.

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
    lines = [f"- {name}: it is not installed here (BENCH_VENVS).\n" for name in results["absent"]]
    lines += [f"- {sentence}\n" for sentence in sorted(failed)]
    return "## What was not measured\n\n" + NOT_MEASURED.format(seconds=results["seconds"]) + "".join(lines)
