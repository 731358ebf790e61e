"""Programs that tests require."""

import os

import pytest


def need(found: object, sentence: str) -> None:
    """Skip the test if `found` is false. `sentence` says how to install the program. Under CI=true the test fails."""
    if found:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)
