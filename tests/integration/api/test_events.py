"""GET predictions/<id>/events/: each change of state, once, until the end."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from predictions.models import ModelVersion, State
from tests.integration.conftest import make, run_worker
from tests.support.door import GONE, Body, Door, open_door
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("clean_redis")]


@pytest.fixture
def door(iris: ModelVersion) -> Iterator[Door]:
    with open_door() as door:
        yield door


def events(content: bytes) -> list[tuple[str, str]]:
    """The id of each event, and the status in its data."""
    found = []
    for block in content.decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append((lines["id"], json.loads(lines["data"])["status"]))
    return found


def address(row: Any) -> str:
    return f"/api/v1/predictions/{row.pk}/events/"


def test_stream_goes_on_until_the_prediction_has_ended(door: Door, iris: ModelVersion) -> None:
    row = make(iris)
    answers: list[Any] = []
    asker = threading.Thread(target=lambda: answers.append(door.ask("GET", address(row), Body([WHOLE]))))
    asker.start()
    wait_until(lambda: _is_watched(row), 10, "the stream has begun")
    run_worker(iris)
    asker.join(20)

    [answer] = answers
    assert answer.headers["content-type"] == "text/event-stream"
    found = events(answer.content)
    assert found[0] == ("queued-0", "queued")
    assert found[-1] == ("succeeded-1", "succeeded")
    assert answer.content.startswith(b"retry: ")


def test_stream_continues_after_the_last_event_that_was_received(door: Door, iris: ModelVersion) -> None:
    row = make(iris, State.SUCCEEDED)

    again = door.ask("GET", address(row), Body([WHOLE]), Last_Event_ID="running-1")
    assert events(again.content) == [("succeeded-1", "succeeded")]
    assert door.ask("GET", address(row), Body([WHOLE]), Last_Event_ID="succeeded-1").status_code == 204


def test_stream_is_bounded_in_time(door: Door, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("predictions.api.events.STREAM_SECONDS", 0.2)

    answer = door.ask("GET", address(make(iris)), Body([WHOLE]))

    assert events(answer.content) == [("queued-0", "queued")]


def test_stream_past_the_number_of_streams_ends_at_once(
    door: Door, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("predictions.api.events.MOST_STREAMS", 0)

    answer = door.ask("GET", address(make(iris)), Body([WHOLE]))

    assert events(answer.content) == [("queued-0", "queued")]


def test_client_that_leaves_ends_its_stream(door: Door, iris: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server notices only when it writes that a client has left. So it writes comments to a silent stream."""
    monkeypatch.setattr("predictions.api.events.COMMENT_SECONDS", 0.2)
    row = make(iris)

    door.ask("GET", address(row), Body([WHOLE, GONE]))

    assert not _is_watched(row)


WHOLE = {"type": "http.request", "body": b"", "more_body": False}


def _is_watched(row: Any) -> bool:
    from predictions.queue.completions import listener

    return listener.count(row.pk) > 0
