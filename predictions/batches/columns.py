"""Which column of a file is which feature. The web process imports this module."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings

from predictions.batches.texts import unguarded
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Feature, Signature
from predictions.serving.schema.wording import is_storable, printable

# The columns that the file of bad rows has beside those of the file.
EXTRA_COLUMNS = ("line", "error")
# Names whose letters agree to this degree are taken for one name, misspelt (see difflib).
ALIKE = 0.8
# More pairs of names than these are not compared, so that a wide file takes no longer than others.
PAIRS = 100_000


def read_names(header: Sequence[str], signature: Signature) -> list[str]:
    """The names of a header without their guard against formulas. A guarded name may be that of a feature itself."""
    known = set(signature.names)
    return [name if name in known else unguarded(name) for name in header]


def match_columns(columns: Sequence[str], signature: Signature) -> list[int | None]:
    """The position of each feature's column: by its exact name, else by one that differs in case, spaces and `_` only.
    None for an optional feature without a column, if no other column has almost its name.

    Raises:
        InvalidInput: features without a column, or with several, all at once; or too many columns; or the first name of
            a column that cannot be stored.
    """
    check_names(columns)
    matched, problems = places_of(columns, signature)
    near = near_names(columns, matched, signature)
    for feature, place in zip(signature.features, matched, strict=True):
        if place is None and (feature.required or feature.name in near) and feature.name not in problems:
            problems[feature.name] = _missing(feature, near.get(feature.name))
    if problems:
        raise InvalidInput([problems[name] for name in signature.names if name in problems])
    return matched


def check_names(columns: Sequence[str]) -> None:
    """Raises InvalidInput for too many columns, or for the first name that cannot be stored."""
    if len(columns) > settings.BATCH_COLUMNS:
        message = english(
            "The file has {columns} columns; at most {most} can be read.",
            columns=len(columns),
            most=settings.BATCH_COLUMNS,
        )
        raise InvalidInput([Problem(None, "too_many_columns", message, "/file")])
    if unstorable := [number for number, name in enumerate(columns, 1) if not is_storable(name)]:
        message = english(
            "The name of column {number} has a character that cannot be stored. Correct it.",
            number=unstorable[0],
        )
        raise InvalidInput([Problem(None, "wrong_type", message, "/file")])


def places_of(columns: Sequence[str], signature: Signature) -> tuple[list[int | None], dict[str, Problem]]:
    """The position of each feature's column, None if it has none. Also the problems of features with several."""
    times = Counter(folded(name) for name in signature.names)
    exact, alike = _positions(columns), _positions([folded(name) for name in columns])
    matched: list[int | None] = []
    problems: dict[str, Problem] = {}
    for name in signature.names:
        found = exact.get(name) or (alike.get(folded(name), []) if times[folded(name)] == 1 else [])
        if len(found) > 1:
            message = english(
                "The header names “{name}” {times} times. Keep one of these columns.",
                name=printable(name),
                times=len(found),
            )
            problems[name] = Problem(name, "duplicate_column", message, "/file")
        matched.append(found[0] if found else None)
    return matched, problems


def _positions(names: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def _missing(feature: Feature, near: str | None) -> Problem:
    name = printable(feature.name)
    if near is None:
        message = english("The file has no column “{name}”. Add it, or correct its name in the header.", name=name)
    elif feature.required:
        message = english(
            "The file has no column “{name}”. Did you mean its column “{near}”? Rename that column.",
            name=name,
            near=printable(near),
        )
    else:
        message = english(
            "The file has no column “{name}”. Did you mean its column “{near}”? Rename that column; if it is something"
            " else, add a column “{name}” without values.",
            name=name,
            near=printable(near),
        )
    return Problem(feature.name, "missing_column", message, "/file")


# --- Names ------------------------------------------------------------------------------------------------------------
def near_names(columns: Sequence[str], matched: Sequence[int | None], signature: Signature) -> dict[str, str]:
    """For features without a column, the name of a column that is no feature and has almost their name."""
    taken = set(matched)
    unused = [name for place, name in enumerate(columns) if place not in taken and name not in EXTRA_COLUMNS]
    lacking = [name for name, place in zip(signature.names, matched, strict=True) if place is None]
    if len(unused) * len(lacking) > PAIRS:
        return {}
    return {name: near for name in lacking if (near := next(alike_names(name, unused), None))}


def alike_names(name: str, others: Sequence[str]) -> Iterator[str]:
    """The names that are almost `name`, the most similar first. Numbers must be the same: x1 is not x2."""
    by_folded = {folded(other): other for other in others}
    for near in difflib.get_close_matches(folded(name), by_folded, len(by_folded) or 1, ALIKE):
        if re.findall(r"\d+", near) == re.findall(r"\d+", name):
            yield by_folded[near]


def folded(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name.strip().strip("\ufeff")).casefold()


def misspelt_members(
    rows: Sequence[tuple[int, Mapping[str, Any]]],
    columns: Sequence[str],
    matched: Sequence[int | None],
    signature: Signature,
) -> Iterator[Problem]:
    """For objects of JSON, each of which has names of its own: an optional feature that one of them lacks, although it
    has a member of almost this name that is no feature. `rows` are objects with their lines."""
    taken = {columns[place] for place in matched if place is not None}
    unused = [name for name in columns if name not in taken and name not in EXTRA_COLUMNS]
    if len(unused) * len(matched) > PAIRS:
        return
    for feature, place in zip(signature.features, matched, strict=True):
        own = None if place is None else columns[place]
        near = list(alike_names(feature.name, unused)) if own is None or not feature.required else []
        found = ((line, name) for line, row in rows if own not in row for name in near if name in row)
        if first := next(found, None):
            yield _misspelt(feature, *first)


def _misspelt(feature: Feature, line: int, near: str) -> Problem:
    message = english(
        "Line {line} has no “{name}”. Did you mean its “{near}”? Rename it; if it is something else, add “{name}” with"
        " the value null.",
        line=line,
        name=printable(feature.name),
        near=printable(near),
    )
    return Problem(feature.name, "missing_column", message, "/file")


def absent(matched: Sequence[int | None], signature: Signature) -> list[str]:
    """The optional features that have no column."""
    return [name for name, place in zip(signature.names, matched, strict=True) if place is None]
