"""The messages that the sources use: calls of gettext's functions and of `english`, and the tags of templates."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from django.conf import settings
from django.utils.translation import templatize

from predictions.translation.po import Message

# For each function the positions of its arguments: text, plural, context.
FUNCTIONS: Mapping[str, tuple[int, int | None, int | None]] = {
    "_": (0, None, None),
    "gettext": (0, None, None),
    "gettext_lazy": (0, None, None),
    "english": (0, None, None),
    "ngettext": (0, 1, None),
    "ngettext_lazy": (0, 1, None),
    "pgettext": (1, None, 0),
    "pgettext_lazy": (1, None, 0),
    "npgettext": (1, 2, 0),
}
_LITERAL = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
# A call in the text that Django makes of a template for the programs of GNU gettext.
_CALL = re.compile(rf"\b(_|n?p?gettext)\(\s*((?:{_LITERAL}\s*,?\s*)+)(?:count)?\s*\)", re.DOTALL)


def messages() -> dict[Message, list[str]]:
    """Each message with the files that use it, in the order of the files."""
    found: dict[Message, list[str]] = {}
    for path in _files():
        place = path.relative_to(settings.BASE_DIR).as_posix()
        for message in messages_of(path):
            places = found.setdefault(message, [])
            if place not in places:
                places.append(place)
    return found


def _files() -> list[Path]:
    base = Path(settings.BASE_DIR)
    code = [path for room in ("predictions", "project") for path in (base / room).rglob("*.py")]
    return sorted(base.glob("templates/**/*.html")) + sorted(path for path in code if "migrations" not in path.parts)


def messages_of(path: Path) -> Iterator[Message]:
    text = path.read_text(encoding="utf-8")
    return _of_template(text) if path.suffix == ".html" else _of_code(text)


def _of_template(text: str) -> Iterator[Message]:
    for function, arguments in _CALL.findall(templatize(text)):
        yield _message(function, ast.literal_eval(f"({arguments.rstrip(', ')},)"))


def _of_code(text: str) -> Iterator[Message]:
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    for node in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        function = str(getattr(node.func, "id", "") or getattr(node.func, "attr", ""))
        if function in FUNCTIONS and node.args and isinstance(node.args[0], ast.Constant):
            yield _message(function, [str(one.value) for one in node.args if isinstance(one, ast.Constant)])


def _message(function: str, given: Sequence[str]) -> Message:
    text, plural, context = FUNCTIONS[function]
    return Message(
        given[text], given[plural] if plural is not None else "", given[context] if context is not None else ""
    )
