"""The body of a request to predict: one row as `features`, or several as `rows`; and the version that is to answer."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings

from predictions.api.parsers import parse
from predictions.maintenance.webhook_request import problem_of
from predictions.models.webhook import MOST_URL
from predictions.serving.schema.errors import InvalidInput, Problem, TooManyRows
from predictions.serving.schema.signature import Signature, Value
from predictions.serving.schema.wording import printable

# The most rows of one request, here and under /v2/. More rows come as a file, to `predictions.api.batches`.
MOST_ROWS = 1000
# The most problems that one reply names.
MOST_NAMED = 100
MEMBERS = frozenset(("features", "rows", "version", "webhook"))


@dataclass(frozen=True)
class PredictBody:
    """Rows as they were sent. `version` is a number or an alias as text, None for the version that serves.

    `webhook_url` receives a message when each prediction ends. `problems` are those of the body outside the rows.
    """

    rows: Sequence[Any]
    has_several: bool
    version: str | None
    webhook_url: str | None
    problems: Sequence[Problem] = ()

    def clean(self, signature: Signature) -> list[list[Value]]:
        """The rows in signature order. Raises InvalidInput with all problems, also those outside the rows."""
        cleaned, problems = [], list(self.problems)
        for number, row in enumerate(self.rows):
            try:
                cleaned.append(_clean_row(row, signature, f"/rows/{number}" if self.has_several else "/features"))
            except InvalidInput as error:
                problems += error.problems
        if problems:
            raise InvalidInput(_some(problems))
        return cleaned


def read_body(content: bytes) -> PredictBody:
    """Read a body. Raises NotJSON, TooManyRows, or InvalidInput if the rows or the version cannot be read."""
    given = parse(content)
    if not isinstance(given, dict):
        raise InvalidInput([replace(_missing(), code="wrong_type", pointer="")])
    beside = list(_beside_the_rows(given))
    if problems := list(_of_members(given)):
        raise InvalidInput(_some(beside + problems))
    version = given.get("version")
    called = version if version is None or isinstance(version, str) else str(int(version))
    webhook_url = given["webhook"]["url"] if given.get("webhook") and not beside else None
    has_several = "rows" in given
    if has_several and len(given["rows"]) > MOST_ROWS:
        raise TooManyRows(MOST_ROWS)
    return PredictBody(given["rows"] if has_several else [given["features"]], has_several, called, webhook_url, beside)


def _beside_the_rows(given: dict[str, Any]) -> Iterator[Problem]:
    for name in sorted(given.keys() - MEMBERS)[:MOST_NAMED]:
        message = f'Only "features" or "rows", "version" and "webhook" belong here, not "{printable(name)}".'
        yield Problem(None, "unknown_member", message, pointer_to(printable(name)))
    yield from _of_webhook(given.get("webhook"))


def _of_members(given: dict[str, Any]) -> Iterator[Problem]:
    """The problems because of which no row can be validated."""
    if "features" in given and "rows" in given:
        yield Problem(None, "unknown_member", 'Send "features" for one row or "rows" for several, not both.', "/rows")
    elif "features" not in given and "rows" not in given:
        yield _missing()
    elif "rows" in given and not (isinstance(given["rows"], list) and given["rows"]):
        yield Problem(None, "wrong_type", '"rows" must be a list of at least one row.', "/rows")
    if not _is_version(given.get("version")):
        yield Problem(None, "wrong_type", "Must be the number or the alias of a version.", "/version")


def _of_webhook(said: Any) -> Iterator[Problem]:
    if said is None:
        return
    if not isinstance(said, dict) or said.keys() != {"url"}:
        yield Problem(None, "wrong_type", 'Must be an object: {"url": "https://…"}.', "/webhook")
    elif not isinstance(said["url"], str) or len(said["url"]) > MOST_URL:
        yield Problem(None, "wrong_type", f"Must be a text of {MOST_URL} characters at most.", "/webhook/url")
    elif problem := problem_of(said["url"], settings.WEBHOOK_ALLOWED_HOSTS):
        yield Problem(None, "bad_url", problem, "/webhook/url")


def _is_version(said: Any) -> bool:
    """Whether this is a number or an alias of a version. As in JSON Schema, 3.0 is a whole number."""
    if isinstance(said, int | float) and not isinstance(said, bool):
        return said > 0 and math.isfinite(said) and said == int(said)
    return said is None or isinstance(said, str)


def _missing() -> Problem:
    return Problem(None, "missing", 'The body must be an object: {"features": {…}}.', "/features")


def _clean_row(row: Any, signature: Signature, place: str) -> list[Value]:
    try:
        return signature.clean(row)
    except InvalidInput as error:
        in_order = isinstance(row, list)
        raise InvalidInput([_placed(problem, signature, place, in_order) for problem in error.problems]) from None


def _placed(problem: Problem, signature: Signature, place: str, in_order: bool) -> Problem:
    """The problem with a pointer into the document that was sent. In a row that is a list, it points to a position."""
    if problem.feature is None:
        return replace(problem, pointer=place)
    part = f"/{signature.names.index(problem.feature)}" if in_order else pointer_to(problem.feature)
    return replace(problem, pointer=place + part)


def pointer_to(name: str) -> str:
    """The JSON Pointer (RFC 6901) to a member."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _some(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MOST_NAMED:
        return problems
    rest = f"And {len(problems) - MOST_NAMED} more problems in other rows."
    return [*problems[:MOST_NAMED], Problem(None, "more", rest, "/rows")]
