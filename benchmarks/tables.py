"""Reads figures from the results of a run. A contender is a service with one style of requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import median_of_known, median_ratio

Json = dict[str, Any]
Series = list[float | None]


@dataclass(frozen=True)
class Contender:
    service: str
    style: str

    @property
    def title(self) -> str:
        return self.service if self.style == "one request" else f"{self.service}, {self.style}"


WAITING = Contender("foretell", "waiting")
POLLING = Contender("foretell", "polling")


def contenders(results: Json, workload: str) -> list[Contender]:
    """The contenders of all rounds, in the order of the services."""
    found: dict[Contender, None] = {}
    for name in results["services"]:
        for round_ in results["rounds"]:
            styles = lookup(round_, "services", name, "workloads", workload) or {}
            found |= {Contender(name, style): None for style in styles}
    return list(found)


def workloads(results: Json) -> list[str]:
    names = [name for round_ in results["rounds"] for one in round_["services"].values() for name in one["workloads"]]
    return list(dict.fromkeys(names))


def lookup(found: Any, *path: str) -> Any:
    """The value at this path of keys, or None."""
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def service_series(results: Json, service: str, *path: str) -> Series:
    """One figure of a service for each round; None for rounds without it."""
    return [lookup(round_, "services", service, *path) for round_ in results["rounds"]]


def load_series(results: Json, contender: Contender, workload: str, connections: str, figure: str) -> Series:
    return service_series(
        results, contender.service, "workloads", workload, contender.style, "loads", connections, figure
    )


def value(results: Json, contender: Contender, workload: str, connections: str, figure: str) -> float | None:
    return median_of_known(load_series(results, contender, workload, connections, figure))


def advantage(
    results: Json, ours: Contender, other: Contender, workload: str, connections: str, figure: str
) -> float | None:
    """The factor by which ours is better: a higher rate, or a shorter time."""
    mine, theirs = (load_series(results, one, workload, connections, figure) for one in (ours, other))
    return median_ratio(mine, theirs) if figure == "per_second" else median_ratio(theirs, mine)


def faults(results: Json, contender: Contender, workload: str) -> dict[str, int]:
    """The number of faults of each kind in all rounds and loads."""
    total = dict.fromkeys(("wrong", "lost", "errors"), 0)
    for round_ in results["rounds"]:
        loads = lookup(round_, "services", contender.service, "workloads", workload, contender.style, "loads") or {}
        for cell in loads.values():
            for kind in total:
                total[kind] += cell[kind]
    return total


def right_answers(results: Json) -> int:
    """The number of right answers in all loads."""
    return sum(
        cell["right"]
        for round_ in results["rounds"]
        for service in round_["services"].values()
        for workload in service["workloads"].values()
        for style in workload.values()
        for cell in style["loads"].values()
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: bool = True) -> str:
    """A Markdown table. The first column is text; the others are numbers, unless `numbers` is false."""
    lines = [head, ["---"] + ["--:" if numbers else "---"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def section(text: str, title: str) -> str:
    """A section of a page from its heading to the next one; empty if there is none."""
    _, heading, rest = text.partition(f"{title}\n")
    return heading + rest.partition("\n## ")[0].rstrip("\n") + "\n" if heading else ""


def replace_section(path: Path, title: str, body: str) -> None:
    """Put a section into a page: in the place of an earlier one, else at the end."""
    text, new = path.read_text(), f"{title}\n\n{body.rstrip()}\n"
    old = section(text, title)
    path.write_text(text.replace(old, new) if old else f"{text.rstrip()}\n\n{new}")
