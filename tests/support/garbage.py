"""Invalid messages in Celery's queue: Celery did not write them, or no worker knows the task or the arguments."""

import base64
import json
from typing import Any

from predictions.models import Lane
from predictions.queue.notifications import DRAIN


def message(body: Any = None, **changes: Any) -> bytes:
    """A message for the drain task as Celery writes it, with changes."""
    encoded = base64.b64encode(json.dumps(body or [[Lane.INTERACTIVE], {}, {}]).encode()).decode()
    whole = {
        "body": encoded,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": DRAIN, "id": "1", "root_id": "1", "parent_id": None, "group": None},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": Lane.INTERACTIVE},
            "delivery_mode": 2,
            "delivery_tag": "the tag",
            "priority": 0,
        },
    }
    return json.dumps({**whole, **changes}).encode()


GARBAGE = {
    "bytes": b"\xff\xfe\x00garbage",
    "no JSON": b"{",
    "a number": b"5",
    "a list": b"[1, 2]",
    "null": b"null",
    "no properties": b'{"body": "", "headers": {}}',
    "properties of a wrong type": message(properties=5),
    "no delivery tag": message(properties={}),
    "a delivery tag of a wrong type": message(properties={"delivery_tag": {}, "delivery_info": {}}),
    "no delivery information": message(properties={"delivery_tag": "the tag", "body_encoding": "base64"}),
    "delivery information of a wrong type": message(properties={"delivery_tag": "the tag", "delivery_info": 1}),
    "no headers": message(headers=None),
    "headers of a wrong type": message(headers=[1]),
    "a body that is no base64": message(body="%"),
    "another content type": message(**{"content-type": "application/x-python-serialize"}),
    "another encoding": message(**{"content-encoding": "no-such-encoding"}),
    "compression that is unknown": message(headers={"task": DRAIN, "id": "1", "compression": "x"}),
    "an unknown task": message(headers={"task": "of.another.release", "id": "1"}),
    "a task of a wrong type": message(headers={"task": {}, "id": "1"}),
    "no id": message(headers={"task": DRAIN}),
    "an id of a wrong type": message(headers={"task": DRAIN, "id": {}}),
    "a time of a wrong type": message(headers={"task": DRAIN, "id": "1", "eta": "yesterday", "expires": []}),
    "time limits of a wrong type": message(headers={"task": DRAIN, "id": "1", "timelimit": "x"}),
    "no arguments": message([[], {}, {}]),
    "wrong arguments": message([[1, 2, 3], {"no": "such"}, {}]),
    "arguments of a wrong type": message([5, 6, 7]),
    "a body of a wrong shape": message(["a"]),
    "callbacks of a wrong type": message([[Lane.INTERACTIVE], {}, {"callbacks": 5, "chain": 5, "chord": 5}]),
}
