"""Runs management commands in this process."""

from io import StringIO
from typing import Any

from django.core.management import call_command


def run(*words: Any) -> str:
    """Run a command. Returns its output."""
    out = StringIO()
    call_command(*words, stdout=out, stderr=out, no_color=True)
    return out.getvalue()
