"""Programs that a test cannot do without."""

import os

import pytest


def need(found: object, sentence: str) -> None:
    """Skip where a program is missing, with a line that says how to get it; under CI=true that is a failure."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
