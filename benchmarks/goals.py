"""The goals for speed, and what a run says about them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.figures import BESIDE_CROWD, CROWD, median_of_known, median_ratio, significant
from benchmarks.services.configured import ManyModels, OnPostgres
from benchmarks.services.in_process import FastApiOnnx
from benchmarks.services.model_servers import BentoML
from benchmarks.services.registry import MODEL_SERVERS, OURS
from benchmarks.services.sketch import Sketch
from benchmarks.tables import (
    POLLING,
    WAITING,
    Contender,
    Json,
    Series,
    faults,
    load_series,
    lookup,
    service_series,
    table,
    workloads,
)  # fmt: skip

ONE_REQUEST = "one request"
SERVERS = [Contender(kind.name, ONE_REQUEST) for kind in MODEL_SERVERS]
ON_POSTGRES = Contender(OnPostgres.name, WAITING.style)
FIFTY = Contender(ManyModels.name, WAITING.style)
SHARES_OF_SERVERS = {"lr": 1.5, "rf": 2.5, "hgb": 1.8}


@dataclass(frozen=True)
class Goal:
    """`value` is None if the run has no figure for it."""

    figure: str
    value: float | None
    bound: float
    is_at_least: bool = False
    is_other_side_faulty: bool = False

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        is_met = self.value >= self.bound if self.is_at_least else self.value <= self.bound
        return "met" if is_met else "**not met**"

    def row(self) -> list[str]:
        sign = "≥" if self.is_at_least else "≤"
        value = f"{self.value:,.0f}" if isinstance(self.value, int) else significant(self.value, 3)
        star = "\\*" if self.is_other_side_faulty and self.value is not None else ""
        return [self.figure, value + star, f"{sign} {self.bound:g}", self.verdict]


def section(results: Json) -> str:
    return f"""\
## Goals

A line "A: B" is the figure of A divided by that of B: the ratio within a round, and its median over the rounds. "/s" is
the rate of right answers. The model servers are {", ".join(one.service for one in SERVERS)}; the
best of them in each round counts, and a round in which one of them failed does not. "At 32" means 32 connections, and
"alone" one. "Half rate" means that all connections together send half of the requests per second that {CROWD:,}
connections without pauses get answered. Without pauses, four times the connections wait about four times as long at any
server whose rate has a limit. A star marks an other side that gave wrong answers, lost predictions or returned errors.

{table_of(results)}"""


def table_of(results: Json) -> str:
    return table(["figure", "this run", "goal", "verdict"], [goal.row() for goal in goals(results)])


def goals(results: Json) -> Iterator[Goal]:
    names = workloads(results)
    for name in names:
        yield _rate(results, WAITING, SERVERS, name, SHARES_OF_SERVERS[name], "best of the model servers")
    for name in names:
        yield _rate(results, POLLING, SERVERS, name, 1.0, "best of the model servers")
    yield _rate(results, WAITING, [Contender(Sketch.name, ONE_REQUEST)], "lr", 0.75, "the sketch of the design")
    in_process = Contender(FastApiOnnx.name, ONE_REQUEST)
    yield _rate(results, WAITING, [in_process], "lr", 0.35, "FastAPI with ONNX Runtime, which keeps nothing")
    for name in ("lr", "hgb"):
        yield _alone(results, WAITING, Contender(BentoML.name, ONE_REQUEST), name, 1.0)
    for name in names:
        yield _rate(results, ON_POSTGRES, [WAITING], name, 0.9)
        yield _alone(results, ON_POSTGRES, WAITING, name, 1.3)
    yield _rate(results, FIFTY, [WAITING], ManyModels.workloads[0], 0.8)
    yield from _resources(results)
    yield from _crowd(results)
    yield Goal("wrong, lost and failed answers of Foretell, all loads", _own_faults(results), 0)


def _rate(
    results: Json, ours: Contender, others: Sequence[Contender], workload: str, bound: float, text: str = ""
) -> Goal:
    mine, theirs = (_best(results, some, workload, "32", "per_second", max) for some in ([ours], others))
    figure = f"{workload}, {ours.title}, /s at 32: {text or others[0].title}"
    is_faulty = _have_faults(results, others, workload)
    return Goal(figure, median_ratio(mine, theirs), bound, is_at_least=True, is_other_side_faulty=is_faulty)


def _alone(results: Json, ours: Contender, other: Contender, workload: str, bound: float) -> Goal:
    mine, theirs = (load_series(results, one, workload, "1", "p50") for one in (ours, other))
    figure = f"{workload}, {ours.title}, p50 alone: {other.title}"
    is_faulty = _have_faults(results, [other], workload)
    return Goal(figure, median_ratio(mine, theirs), bound, is_other_side_faulty=is_faulty)


def _have_faults(results: Json, some: Sequence[Contender], workload: str) -> bool:
    return any(sum(faults(results, one, workload).values()) for one in some)


def _resources(results: Json) -> Iterator[Goal]:
    """The page under load, memory, and the start."""
    path = ("saturated", "page_ms", "p99")
    servers = _best_of(results, SERVERS, [service_series(results, one.service, *path) for one in SERVERS], min)
    page = median_ratio(service_series(results, WAITING.service, *path), servers)
    yield Goal("page p99 under load: best of the model servers", page, 1.0)
    memory = median_of_known(service_series(results, WAITING.service, "saturated", "pss_mb"))
    yield Goal("memory of the whole stack under load (PSS), MB", memory, 300)
    start = median_of_known(service_series(results, WAITING.service, "cold_start_s"))
    yield Goal("first answer after the start, s", start, 1.5)


def _crowd(results: Json) -> Iterator[Goal]:
    beside, crowd = str(BESIDE_CROWD), str(CROWD)
    yield Goal(f"{CROWD:,} connections: wrong, lost and failed answers", _crowd_faults(results), 0)
    for text, suffix in (("without pauses", ""), ("half rate", " paced")):
        times = [load_series(results, WAITING, "lr", f"{count}{suffix}", "p99") for count in (crowd, beside)]
        yield Goal(f"lr, p99 at {CROWD:,} connections, {text}: p99 at {beside}", median_ratio(*times), 1.5)


def _crowd_faults(results: Json) -> int | None:
    cells = [
        cell
        for round_ in results["rounds"]
        for count in (str(CROWD), f"{CROWD} paced")
        if (cell := lookup(round_, "services", WAITING.service, "workloads", "lr", WAITING.style, "loads", count))
    ]
    return sum(cell[kind] for cell in cells for kind in ("wrong", "lost", "errors")) if cells else None


def _own_faults(results: Json) -> int:
    ours = [Contender(kind.name, style) for kind in OURS for style in (WAITING.style, POLLING.style)]
    return sum(sum(faults(results, one, name).values()) for one in ours for name in workloads(results))


def _best(
    results: Json, some: Sequence[Contender], workload: str, connections: str, figure: str,
    choose: Callable[[Sequence[float]], float],
) -> Series:  # fmt: skip
    return _best_of(results, some, [load_series(results, one, workload, connections, figure) for one in some], choose)


def _best_of(
    results: Json, some: Sequence[Contender], series: Sequence[Series], choose: Callable[[Sequence[float]], float]
) -> Series:
    """The best figure of each round. None for a round without figures, and for a round in which one of the contenders
    failed, since that one might have been the best."""
    found: list[float | None] = []
    for round_, figures in zip(results["rounds"], zip(*series, strict=True), strict=True):
        known = [value for value in figures if value is not None]
        is_whole = round_["failed"].keys().isdisjoint(one.service for one in some)
        found.append(choose(known) if known and is_whole else None)
    return found
