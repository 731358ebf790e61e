"""The pages that are generated from the code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from predictions.api.openapi import PROBLEMS
from predictions.api.problems import STATUS
from predictions.management.commands.draw_states import diagram
from predictions.serving.schema.errors import ERRORS

ERROR_PAGE = """# Error codes

Made from `predictions/serving/schema/errors.py`, `request_errors.py` beside it, and `predictions/api/`.
A prediction that failed carries such an error; a
request that is refused gets a problem (RFC 9457) with the same codes.

| code | status of a refused request | worth trying again | what the user reads |
|---|---|---|---|
{rows}

Besides these, a request may be refused as:

| status | when |
|---|---|
{problems}
"""


def error_codes() -> str:
    rows = (
        f"| `{code}` | {STATUS.get(error, '')} | {'yes' if error.retryable else 'no'} | {error.sentence} |"
        for code, error in ERRORS.items()
    )
    problems = (f"| {status} | {when} |" for status, when in PROBLEMS.items())
    return ERROR_PAGE.format(rows="\n".join(rows), problems="\n".join(problems))


def openapi() -> str:
    """The schema without the paths of single models, which depend on a database."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    page: bytes = OpenApiYamlRenderer().render(schema, renderer_context={})  # type: ignore[no-untyped-call]
    return page.decode()


PAGES: dict[str, Callable[[], str]] = {
    **{path: import_string(writer) for path, writer in settings.GENERATED_PAGES.items()},
    "docs/reference/errors.md": error_codes,
    "docs/reference/openapi.yaml": openapi,
    "docs/reference/states.md": diagram,
}


class Command(BaseCommand):
    help = "Write the generated pages of the documentation."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="only report whether the pages are up to date")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = [path for path, page in PAGES.items() if _read(path) != page()]
        if options["check"]:
            if stale:
                raise CommandError(f"not up to date: {', '.join(stale)}; run make docs")
            return
        for path in stale:
            _place(path).parent.mkdir(parents=True, exist_ok=True)
            _place(path).write_text(PAGES[path](), encoding="utf-8")
            self.stdout.write(f"wrote {path}")


def _place(path: str) -> Path:
    return Path(settings.BASE_DIR) / path


def _read(path: str) -> str | None:
    place = _place(path)
    return place.read_text(encoding="utf-8") if place.exists() else None
