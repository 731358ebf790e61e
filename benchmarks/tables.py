"""Reads the figures out of the results of a run. A contender is a service asked in one way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import middle, middle_ratio

Json = dict[str, Any]
Series = list[float | None]


@dataclass(frozen=True)
class Contender:
    service: str
    way: str

    @property
    def title(self) -> str:
        return self.service if self.way == "one request" else f"{self.service}, {self.way}"


WAITING = Contender("foretell", "waiting")
POLLING = Contender("foretell", "polling")


def contenders(results: Json, workload: str) -> list[Contender]:
    """In the order of the services, with whatever any round has of them."""
    found: dict[Contender, None] = {}
    for name in results["services"]:
        for round_ in results["rounds"]:
            ways = dig(round_, "services", name, "workloads", workload) or {}
            found |= {Contender(name, way): None for way in ways}
    return list(found)


def workloads(results: Json) -> list[str]:
    names = [name for round_ in results["rounds"] for one in round_["services"].values() for name in one["workloads"]]
    return list(dict.fromkeys(names))


def dig(found: Any, *path: str) -> Any:
    """What lies there, or None."""
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def of_service(results: Json, service: str, *path: str) -> Series:
    """One figure of a service, round by round; None where a round does not have it."""
    return [dig(round_, "services", service, *path) for round_ in results["rounds"]]


def of_cell(results: Json, contender: Contender, workload: str, crowd: str, figure: str) -> Series:
    return of_service(results, contender.service, "workloads", workload, contender.way, "loads", crowd, figure)


def value(results: Json, contender: Contender, workload: str, crowd: str, figure: str) -> float | None:
    return middle(of_cell(results, contender, workload, crowd, figure))


def advantage(results: Json, ours: Contender, other: Contender, workload: str, crowd: str, figure: str) -> float | None:
    """How many times better ours is: more of what is carried, less of what takes time."""
    mine, theirs = (of_cell(results, one, workload, crowd, figure) for one in (ours, other))
    return middle_ratio(mine, theirs) if figure == "per_second" else middle_ratio(theirs, mine)


def faults(results: Json, contender: Contender, workload: str) -> dict[str, int]:
    """What went wrong in all rounds and loads together."""
    total = dict.fromkeys(("wrong", "lost", "errors"), 0)
    for round_ in results["rounds"]:
        loads = dig(round_, "services", contender.service, "workloads", workload, contender.way, "loads") or {}
        for cell in loads.values():
            for kind in total:
                total[kind] += cell[kind]
    return total


def answers(results: Json) -> int:
    """How many answers were right, in all loads."""
    return sum(
        cell["right"]
        for round_ in results["rounds"]
        for service in round_["services"].values()
        for workload in service["workloads"].values()
        for way in workload.values()
        for cell in way["loads"].values()
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
