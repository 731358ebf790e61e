"""Webhooks while receivers fail and processes are killed."""

import threading
from collections import Counter
from contextlib import AbstractContextManager, closing
from itertools import cycle

import httpx

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import Stage
from tests.support.receiver import Message, Receiver, receiving
from tests.support.stack import Stack, connected

KILL_SECONDS = 2.0
KILLED = ("keeper", "worker", "keeper", "web")
# A receiver fails at most so often for one message. Together with the attempts that end with a killed keeper, that is
# less than the attempts that a webhook has.
MOST_FAILURES = 2
# Long enough that the keeper is sometimes killed after a receiver took a message and before the keeper recorded it.
ANSWER_SECONDS = 0.2
DELIVERED_SECONDS = 90


def _with_receivers(stage: Stage) -> AbstractContextManager[Stack]:
    return stage.stack(WEBHOOK_ALLOWED_HOSTS="127.0.0.1")


class Fickle:
    """Refuses a message, or closes the connection, up to `MOST_FAILURES` times, and then accepts the message."""

    def __init__(self, scene: Scene) -> None:
        self._random = scene.random
        self._failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, message: Message) -> int | None:
        with self._lock:
            status = self._random.choice((204, 204, 200, 500, 503, None))
            if status in (204, 200) or self._failures[message.id] >= MOST_FAILURES:
                return 204
            self._failures[message.id] += 1
            return status


class Program:
    """A caller with a token. Each row is sent again with its key until it is accepted."""

    def __init__(self, scene: Scene, url: str) -> None:
        create = "from django.contrib.auth.models import User; User.objects.create_user('program')"
        scene.stack.manage("shell", "-c", create)
        token = scene.stack.manage("create_token", "program", "--name", "hooks").strip()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=scene.stack.client.base_url, timeout=10.0)
        self._url = url
        self._open: dict[str, float] = {}
        self.accepted: set[str] = set()

    def close(self) -> None:
        self._http.close()

    def ask(self, number: int) -> None:
        self._open[f"told-{number}"] = float(number)
        for key, x in list(self._open.items()):
            if (found := self._send(key, x)) is None:
                return
            self.accepted.add(found)
            del self._open[key]

    def _send(self, key: str, x: float) -> str | None:
        """Send a row. Returns the id of its prediction, or None if the row was not accepted."""
        body = {"features": {"x": x, "seconds": 0.0}, "webhook": {"url": self._url}}
        headers = {**self._headers, "Idempotency-Key": key}
        try:
            response = self._http.post("/api/v1/models/probe/predictions/", json=body, headers=headers)
        except httpx.TransportError:
            return None
        return str(response.json()["id"]) if response.status_code in (200, 202) else None


@scenario("P12", seconds=24, quick_seconds=9, rate=20, settles=90, opens=_with_receivers, in_suite=True)
def webhooks_survive_failing_receivers_and_killed_processes(scene: Scene) -> None:
    """Receivers refuse messages or close the connection, and every 2 s the keeper, a worker or the web server is killed
    (SIGKILL). Each accepted webhook is delivered; a message that comes twice has the same id."""
    with (
        receiving(hold=lambda: scene.pause(ANSWER_SECONDS), choose=Fickle(scene)) as receiver,
        closing(Program(scene, receiver.url)) as program,
    ):
        victims = cycle(KILLED)
        for turn, _ in enumerate(scene.every(0.05)):
            program.ask(turn)
            if turn % int(KILL_SECONDS / 0.05) == 20:
                _kill(scene, next(victims))
        scene.check(program.accepted, "rows with webhooks are accepted")
        scene.wait_until(lambda: _all_delivered(scene), DELIVERED_SECONDS, "each webhook is delivered")
    _check(scene, program.accepted, receiver)


def _kill(scene: Scene, name: str) -> None:
    scene.mark_fault()
    scene.stack[name].wipe_out()
    if name == "keeper":
        _let_pauses_pass(scene)  # this also ends the lease of the webhooks that it was sending
    scene.stack[name].start()


def _all_delivered(scene: Scene) -> bool:
    """Whether all webhooks are delivered. If not, the pauses between attempts, of up to ten hours, are ended."""
    found = scene.stack.query("SELECT count(*) AS n FROM predictions_webhook WHERE status <> 'delivered'")
    if found[0]["n"] == 0:
        return True
    _let_pauses_pass(scene, only_those_that_failed=True)
    return False


LOGGED = "SELECT 1 FROM predictions_webhookattempt WHERE webhook_id = prediction_id AND number = attempts"


def _let_pauses_pass(scene: Scene, *, only_those_that_failed: bool = False) -> None:
    """Make open webhooks due. With `only_those_that_failed`, webhooks that are being sent are left alone: the log does
    not have their present attempt yet."""
    failed = f" AND EXISTS ({LOGGED})" if only_those_that_failed else ""
    with connected(scene.stack.database_url) as connection:
        connection.execute(
            f"UPDATE predictions_webhook SET next_at = '2001-01-01 00:00:00+00:00' WHERE status = 'open'{failed}"
        )
        connection.commit()


def _check(scene: Scene, accepted: set[str], receiver: Receiver) -> None:
    ids: dict[str, set[str]] = {}
    for message in receiver.got:
        ids.setdefault(message.json()["data"]["id"], set()).add(message.id)
    taken = Counter(message.json()["data"]["id"] for message in receiver.taken)
    twice = sum(count > 1 for count in taken.values())
    scene.notes.append(
        f"{len(accepted)} webhooks accepted, {len(accepted & taken.keys())} delivered, {len(receiver.got)} messages"
        f" sent, {twice} webhooks delivered more than once"
    )
    scene.check(accepted <= taken.keys(), f"no webhook is lost, but {len(accepted - taken.keys())} were")
    scene.check(all(len(one) == 1 for one in ids.values()), "a message that comes twice has the same id")
    scene.check(len({one for found in ids.values() for one in found}) == len(ids), "each prediction has its own id")
