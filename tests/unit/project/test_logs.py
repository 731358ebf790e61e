"""A line of the log: what it carries, and what it must never."""

import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from predictions import context
from project import logs

SECRET = 'a "quoted" secret key'


@pytest.fixture
def request_id() -> Iterator[str]:
    token = context.request_id.set("request-1")
    yield "request-1"
    context.request_id.reset(token)


def record(message: str, *args: object, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    made = logging.getLogger("a.logger").makeRecord(
        "a.logger", logging.WARNING, __file__, 1, message, args, exc_info, extra=extra
    )
    assert logs.with_request_id(made) is True
    return made


def as_json(made: logging.LogRecord, *secrets: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(logs.Json(secrets).format(made))
    return found


def test_json_line_is_one_object_with_what_belongs_to_it(request_id: str) -> None:
    found = as_json(record("settled %d", 2, predictions=["1", "2"]))

    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "a.logger",
        "message": "settled 2",
        "predictions": ["1", "2"],
        "request_id": request_id,
    }


def test_json_line_outside_a_request_has_no_request() -> None:
    assert "request_id" not in as_json(record("hello"))


def test_json_line_leaves_out_requests_and_arguments_of_tasks() -> None:
    """A query may hold what somebody asked, and `str` of a request shows it."""
    assert as_json(record("Not Found", request="<GET '/?age=47'>", data={"args": "[47]"})).keys() == {
        "time",
        "level",
        "logger",
        "message",
    }


def test_json_line_of_an_exception_has_its_way_but_not_its_text() -> None:
    asked = " ".join(["an", "input"])  # the line of the source is not what somebody asked
    try:
        try:
            float(asked)
        except ValueError as error:
            raise RuntimeError(asked) from error
    except RuntimeError:
        found = as_json(record("failed: %r, %s", sys.exc_info()[1], asked, exc_info=sys.exc_info()))

    assert found["message"] == "failed: RuntimeError, RuntimeError"
    assert asked not in json.dumps(found)
    assert [line for line in found["exc_info"].splitlines() if line.endswith("Error")] == ["ValueError", "RuntimeError"]
    assert "test_logs.py" in found["exc_info"]


def test_line_for_people_is_short(request_id: str) -> None:
    line = logs.Lines().format(record("settled %d", 5, predictions=list("abcde")))

    assert line == "WARNING a.logger: settled 5 a b c … [request-1]"


@pytest.mark.parametrize("formatter", [logs.Json, logs.Lines])
@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Cannot connect to redis://:hunter2@cache.example.org:6379/0.", "redis://***@cache.example.org:6379/0."),
        ("postgres://me:hunter2@db/name", "postgres://***@db/name"),
        ("rediss://hunter2@cache and amqp://u:hunter2@b", "rediss://***@cache and amqp://***@b"),
        ("Authorization: Bearer hunter2.x-y", "Authorization: Bearer ***"),
        ("the token ft_hunter2", "the token ***"),
        (f"signed with {SECRET}", "signed with ***"),
        ("the left_hand side", "the left_hand side"),
        ("https://example.org/a@b is no secret", "https://example.org/a@b is no secret"),
    ],
)
def test_no_line_holds_a_secret(formatter: type[logs.Lines | logs.Json], text: str, masked: str) -> None:
    line = formatter([SECRET, "", "short"]).format(record("%s", text))

    assert masked in line
    assert "hunter2" not in line
    assert "quoted" not in line
    if formatter is logs.Json:
        assert json.loads(line)["message"].endswith(masked)


def test_passwords_are_known_as_written_and_as_meant() -> None:
    assert logs.passwords("redis://:a%2Fb@host/0", "", "postgres://u:x@host/db") == ["a%2Fb", "x", "a/b", "x"]
