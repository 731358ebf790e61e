from datetime import timedelta
from typing import Any

import pytest

from predictions.api.headers import PredictOptions, read_options
from predictions.serving.schema.request_errors import BadHeader
from predictions.use_cases.callers import Caller
from tests.support.api_request import api_request


@pytest.fixture(autouse=True)
def _longest(settings: Any) -> None:
    settings.WAIT_MAX = 30.0


def read(**headers: str) -> PredictOptions:
    return read_options(api_request(**headers).headers, Caller("user:7"))


def test_nothing_said_is_nothing_wished() -> None:
    assert read() == PredictOptions(0.0, None, None)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=5", 5.0),
        ("wait=2.5", 2.5),
        ('wait="5"', 5.0),
        ("WAIT = 5", 5.0),
        ("respond-async, wait=5", 5.0),
        ("return=minimal; wait=5", 0.0),
        ("return=minimal; x=1, wait=5", 5.0),
        ('x="a, wait=9", wait=5', 5.0),
        ("wait=5; foo, wait=9", 5.0),
        ("wait=5, wait=9", 5.0),
        (", ,wait=5", 5.0),
        ("nonsense here, wait=5", 0.0),
        ("wait=31", 30.0),
        ("wait=999999", 30.0),
        ("wait=0", 0.0),
        ("respond-async", 0.0),
        ("nowait=5", 0.0),
        ("wait", 0.0),
        ("wait=-5", 0.0),
        ("wait=soon", 0.0),
    ],
)
def test_wait_is_read_as_rfc_7240_has_it(prefer: str, seconds: float) -> None:
    assert read(Prefer=prefer).wait == seconds


@pytest.mark.parametrize("key", ["a", "k" * 200, "a b", '"quoted"', "~!"])
def test_key_is_kept_apart_from_those_of_forms(key: str) -> None:
    assert read(Idempotency_Key=key).idempotency_key == f"api:{key}"


@pytest.mark.parametrize("key", ["", " ", "k" * 201, "é", "a\tb", "a\x7f"])
def test_key_of_other_characters_is_refused(key: str) -> None:
    with pytest.raises(BadHeader):
        read(Idempotency_Key=key)


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("1ms", timedelta(milliseconds=1)),
        ("30s", timedelta(seconds=30)),
        ("30", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("24h", timedelta(hours=24)),
        ("1440m", timedelta(hours=24)),
    ],
)
def test_duration_is_read_in_its_unit(text: str, allowed: timedelta) -> None:
    assert read(Cancel_After=text).time_allowed == allowed


@pytest.mark.parametrize(
    "text",
    ["", "0s", "-1s", "1d", "25h", "1441m", "1.5s", "1 s", "s", "9" * 10, "999999999h", "86401", "86400001ms", "05s"],
)
def test_duration_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadHeader):
        read(Cancel_After=text)
