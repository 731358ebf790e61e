"""The body of a change of what serves: `change`, `version`, `reason`, each of its own type of JSON."""

from predictions.api.parsers import parse
from predictions.api.prediction_body import pointer_to
from predictions.serving.schema.errors import InvalidInput, Problem
from predictions.serving.schema.wording import printable
from predictions.use_cases.operate import LONGEST_REASON, Change

MEMBERS = ("change", "version", "reason")


def read_change(content: bytes, actor: str) -> Change:
    """Raises NotJSON or InvalidInput."""
    given = parse(content)
    if not isinstance(given, dict):
        raise InvalidInput([Problem(None, "wrong_type", "The body must be an object.", "")])
    problems = [
        Problem(None, "unknown_member", f"Only {', '.join(MEMBERS)} belong here.", pointer_to(printable(name)))
        for name in sorted(given.keys() - set(MEMBERS))[:20]
    ]
    what, version, reason = given.get("change", ""), given.get("version"), given.get("reason") or ""
    if not isinstance(what, str):
        problems.append(Problem(None, "wrong_type", "Must be a text.", "/change"))
    if version is not None and (type(version) is not int or not 0 < version < 10**9):
        problems.append(Problem(None, "wrong_type", "Must be the number of a version.", "/version"))
    if not isinstance(reason, str) or len(reason) > LONGEST_REASON or "\0" in reason:
        problems.append(
            Problem(None, "wrong_value", f"Must be a text of at most {LONGEST_REASON} characters.", "/reason")
        )
    if problems:
        raise InvalidInput(problems)
    return Change(what, version, reason.strip(), actor)
