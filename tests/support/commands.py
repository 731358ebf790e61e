"""Commands of manage.py, in this process."""

from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*words: Any) -> str:
    """What a command prints."""
    out = StringIO()
    call_command(*words, stdout=out, stderr=out, no_color=True)
    return out.getvalue()
