"""The body of a change of what serves. Each of `MEMBERS` has its own type of JSON."""

from collections.abc import Iterator
from typing import Any

from predictions.api.parsers import parse
from predictions.api.prediction_body import pointer_to
from predictions.lifecycle.replays import MOST
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.wording import is_storable, printable
from predictions.use_cases.operate import LONGEST_REASON, Change

MEMBERS = ("change", "version", "alias", "percent", "last", "reason")
LONGEST_ALIAS = 50
# Members that are whole numbers, with their bounds.
NUMBERS = (("percent", 0, 100), ("last", 1, MOST))


def read_change(content: bytes, actor: str) -> Change:
    """The change that a body asks for. Raises NotJSON or InvalidInput."""
    given = parse(content)
    if not isinstance(given, dict):
        raise InvalidInput([Problem(None, "wrong_type", "The body must be an object.", "")])
    if problems := list(_problems(given)):
        raise InvalidInput(problems)
    version = given.get("version")
    return Change(
        what=given.get("change", ""),
        version=None if version is None else str(version),
        reason=(given.get("reason") or "").strip(),
        actor=actor,
        alias=given.get("alias") or "",
        percent=given.get("percent"),
        last=given.get("last"),
    )


def _problems(given: dict[str, Any]) -> Iterator[Problem]:
    for name in sorted(given.keys() - set(MEMBERS))[:20]:
        yield Problem(None, "unknown_member", f"Only {', '.join(MEMBERS)} belong here.", pointer_to(printable(name)))
    if not isinstance(given.get("change", ""), str):
        yield Problem(None, "wrong_type", "Must be a text.", "/change")
    if not _is_version(given.get("version")):
        yield Problem(None, "wrong_type", "Must be the number or the alias of a version.", "/version")
    if not _is_text(given.get("alias"), LONGEST_ALIAS):
        yield Problem(None, "wrong_value", f"Must be a text of at most {LONGEST_ALIAS} characters.", "/alias")
    for member, least, most in NUMBERS:
        number = given.get(member)
        if number is not None and (type(number) is not int or not least <= number <= most):
            yield Problem(None, "wrong_value", f"Must be a whole number from {least} to {most}.", f"/{member}")
    if not _is_text(given.get("reason"), LONGEST_REASON):
        yield Problem(None, "wrong_value", f"Must be a text of at most {LONGEST_REASON} characters.", "/reason")


def _is_version(said: Any) -> bool:
    """Whether this is a number or an alias of a version. A number as text is neither: an alias begins with a letter."""
    if type(said) is int:
        return 0 < said < 10**9
    return said is None or (_is_text(said, LONGEST_ALIAS) and said[:1].isalpha())


def _is_text(said: Any, longest: int) -> bool:
    return said is None or (isinstance(said, str) and len(said) <= longest and is_storable(said))
