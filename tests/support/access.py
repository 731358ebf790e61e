"""The table of permissions in docs/reference/access.md, and the routes of the URL configuration."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

from django.urls import URLPattern, URLResolver, get_resolver

from project.env import BASE_DIR

PAGE = BASE_DIR / "docs/reference/access.md"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
PEOPLE = ("visitor", "visitor, not public", "stranger", "owner", "analyst", "superuser")


@dataclass(frozen=True)
class Row:
    route: str
    methods: tuple[str, ...]
    cells: dict[str, str]


def is_api(route: str) -> bool:
    return route.startswith(("/api/", "/v2")) or route == "/healthz/live"


@cache
def rows() -> list[Row]:
    """The rows of the table. `{a,b}` in a route stands for several routes."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `/"):
            route, methods, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            by_caller = dict(zip(PEOPLE, cells, strict=True))
            found += [Row(one, tuple(methods.split()), by_caller) for one in expand(route.strip("` "))]
    return found


def expand(route: str) -> list[str]:
    parts = [part.split(",") if number % 2 else [part] for number, part in enumerate(re.split(r"\{([^}<]*)\}", route))]
    return ["".join(choice) for choice in product(*parts)]


def expected(route: str) -> dict[str, dict[str, str]]:
    """For each method, the outcome for each kind of caller."""
    named = {method: row.cells for row in rows() if row.route == route for method in row.methods}
    if "GET" in named:
        named.setdefault("HEAD", named["GET"])
    others = named.get("any") or named.get("others")
    return {method: named.get(method) or others or _default(route, method, named) for method in METHODS}


def _default(route: str, method: str, named: dict[str, dict[str, str]]) -> dict[str, str]:
    """The outcomes of a method without a row. The API authenticates before it checks methods, and answers OPTIONS."""
    known = next(iter(named.values()), {})
    is_page = route == "/api/v1/docs/"  # a page of the site below the address of the API
    usual = "204" if is_api(route) and not is_page and method == "OPTIONS" else "405"
    return {name: "401" if is_api(route) and known.get(name) == "401" else usual for name in PEOPLE}


def routes() -> list[str]:
    return sorted(set(_walk(get_resolver(), "/")))


def _walk(resolver: URLResolver, prefix: str) -> Iterator[str]:
    for found in resolver.url_patterns:
        route = f"{prefix}{found.pattern}"
        if isinstance(found, URLPattern):
            yield route
        else:
            yield from _walk(found, route)
