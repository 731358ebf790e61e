"""Log formatters: the fields of a line, and the masking of secrets and inputs."""

import json
import logging
import sys
import uuid
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


def make_record(message: str, *args: object, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    record = logging.getLogger("a.logger").makeRecord(
        "a.logger", logging.WARNING, __file__, 1, message, args, exc_info, extra=extra
    )
    assert logs.with_request_id(record) is True
    return record


def as_json(record: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(logs.SafeJsonFormatter().format(record))
    return line


def test_json_line_has_its_request_id_and_predictions(request_id: str) -> None:
    found = as_json(make_record("settled %d", 2, predictions=[uuid.UUID(int=1), "2"]))

    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "a.logger",
        "message": "settled 2",
        "predictions": ["00000000-0000-0000-0000-000000000001", "2"],
        "request_id": request_id,
    }


def test_json_line_outside_a_request_has_no_request_id() -> None:
    assert "request_id" not in as_json(make_record("hello"))


def test_json_line_omits_requests_and_task_arguments() -> None:
    """They may contain inputs: `str` of a request shows its query."""
    assert as_json(make_record("Not Found", request="<GET '/?age=47'>", data={"args": "[47]"})).keys() == {
        "time",
        "level",
        "logger",
        "message",
    }


def test_json_line_of_an_exception_has_its_traceback_without_its_text() -> None:
    text = " ".join(["an", "input"])  # not a literal: the traceback quotes lines of the source
    try:
        try:
            float(text)
        except ValueError as error:
            raise RuntimeError(text) from error
    except RuntimeError:
        found = as_json(make_record("failed: %r, %s", sys.exc_info()[1], text, exc_info=sys.exc_info()))

    assert found["message"] == "failed: RuntimeError, RuntimeError"
    assert text not in json.dumps(found)
    assert [line for line in found["exc_info"].splitlines() if line.endswith("Error")] == ["ValueError", "RuntimeError"]
    assert "test_logs.py" in found["exc_info"]


def test_text_line_shows_three_predictions_and_the_request_id(request_id: str) -> None:
    line = logs.TextFormatter().format(make_record("settled %d", 5, predictions=list("abcde")))

    assert line == "WARNING a.logger: settled 5 a b c … [request-1]"


@pytest.mark.parametrize("formatter", [logs.SafeJsonFormatter, logs.TextFormatter])
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
def test_line_masks_secrets(
    formatter: type[logs.TextFormatter | logs.SafeJsonFormatter], text: str, masked: str
) -> None:
    line = formatter([SECRET, "", "short"]).format(make_record("%s", text))

    assert masked in line
    assert "hunter2" not in line
    assert "quoted" not in line
    if formatter is logs.SafeJsonFormatter:
        assert json.loads(line)["message"].endswith(masked)


def test_passwords_are_returned_encoded_and_decoded() -> None:
    assert logs.passwords("redis://:a%2Fb@host/0", "", "postgres://u:x@host/db") == ["a%2Fb", "x", "a/b", "x"]
