"""Who may do what: the table of docs/reference/access.md, and the routes that there are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
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
    return route.startswith(("/api/", "/v2"))


def rows() -> list[Row]:
    """A row of the page may stand for several routes: `{a,b}` is either."""
    found = []
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `/"):
            route, methods, *cells = (cell.strip() for cell in line.strip("| ").split(" | "))
            told = dict(zip(PEOPLE, cells, strict=True))
            found += [Row(one, tuple(methods.split()), told) for one in spelled_out(route.strip("` "))]
    return found


def spelled_out(route: str) -> list[str]:
    parts = [part.split(",") if number % 2 else [part] for number, part in enumerate(re.split(r"\{([^}<]*)\}", route))]
    return ["".join(choice) for choice in product(*parts)]


def expected(route: str) -> dict[str, dict[str, str]]:
    """For each method, what each of the people gets."""
    named = {method: row.cells for row in rows() if row.route == route for method in row.methods}
    if "GET" in named:
        named.setdefault("HEAD", named["GET"])
    others = named.get("any") or named.get("others")
    return {method: named.get(method) or others or _default(route, method, named) for method in METHODS}


def _default(route: str, method: str, named: dict[str, dict[str, str]]) -> dict[str, str]:
    """The API asks who comes before it looks at the method, and answers OPTIONS everywhere."""
    known = next(iter(named.values()), {})
    usual = "204" if is_api(route) and method == "OPTIONS" else "405"
    if route == "/api/v1/docs/" and method == "OPTIONS":  # a page of the site, by a view of REST framework
        usual = "200"
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
