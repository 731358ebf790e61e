"""Messages that Celery did not write neither end a worker nor keep it from its work."""

import pytest

from predictions.models import Lane
from tests.support.garbage import GARBAGE
from tests.support.stack import Stack
from tests.support.waiting import wait_until


@pytest.mark.parametrize("lot", [list(GARBAGE)[:14], list(GARBAGE)[14:]], ids=["first half", "second half"])
def test_garbage_in_the_queue_of_celery_stops_no_worker(stack: Stack, lot: list[str]) -> None:
    worker = stack["worker"].process
    for name in lot:
        # More messages than the worker prefetches: it must not count any of them as unacknowledged for ever.
        for number in range(5):
            stack.redis.lpush(Lane.INTERACTIVE, GARBAGE[name].replace(b"the tag", f"{name} {number}".encode()))
        ids = [stack.submit("probe", {"x": number, "seconds": 0}) for number in range(2)]
        rows = stack.wait_for_end(ids, 20)
        wait_until(stack.is_idle, 20, f"the worker has done with all messages: {name}")
        assert [row["state"] for row in rows] == ["succeeded"] * 2, name
        assert stack["worker"].is_running, name
    assert stack["worker"].process == worker
