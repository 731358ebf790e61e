"""Streams of events while processes are killed."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import httpx

from tests.chaos.scenario import Scene, scenario
from tests.support.stack import TERMINAL

FOLLOWERS = 12
ROW_SECONDS = 0.3
KILLED = ("worker", "web", "worker-2")
KILL_SECONDS = 2.0
RECONNECT_SECONDS = 0.3
END_SECONDS = 60


class Follower:
    """Follows predictions, one after the other. A stream that breaks is opened again from the last event."""

    def __init__(self, scene: Scene, stopped: threading.Event) -> None:
        self._scene = scene
        self._stopped = stopped
        self.followed = self.reconnected = 0
        self.problems: list[str] = []

    def run(self) -> None:
        while not self._stopped.is_set():
            number = self._scene.submit(seconds=ROW_SECONDS)
            if number is None:
                time.sleep(RECONNECT_SECONDS)
                continue
            self._follow(self._scene.ledger.accepted[number].id)

    def _follow(self, prediction_id: str) -> None:
        seen: list[tuple[str, str]] = []
        give_up_at = time.monotonic() + END_SECONDS * self._scene.stage.time_factor
        while not self._has_ended(prediction_id, seen):
            if time.monotonic() > give_up_at:
                self.problems.append(f"a stream has no end, after {seen}")
                return
            self.reconnected += 1
            time.sleep(RECONNECT_SECONDS)
        self.followed += 1
        ids = [event_id for event_id, _ in seen]
        if len(set(ids)) != len(ids) or [state for _, state in seen if state in TERMINAL] != [seen[-1][1]]:
            self.problems.append(f"events came twice, or went on after the end: {seen}")

    def _has_ended(self, prediction_id: str, seen: list[tuple[str, str]]) -> bool:
        """Read a stream to its end, or until it breaks."""
        headers = {"Last-Event-ID": seen[-1][0]} if seen else {}
        url = f"{self._scene.stack.client.base_url}/api/v1/predictions/{prediction_id}/events/"
        try:
            with httpx.stream("GET", url, headers=headers, timeout=20.0) as response:
                event_id = ""
                for line in response.iter_lines():
                    name, _, value = line.partition(": ")
                    if name == "id":
                        event_id = value
                    elif name == "data":
                        seen.append((event_id, json.loads(value)["status"]))
        except httpx.TransportError:
            return False
        return bool(seen) and seen[-1][1] in TERMINAL


@scenario("P13", seconds=20, quick_seconds=7, rate=30, settles=90, in_suite=True)
def streams_survive_killed_processes(scene: Scene) -> None:
    """Clients follow predictions as streams of events, while every 2 s a worker or the web server is killed (SIGKILL).
    Each stream goes on from the last event and tells the end; no event comes twice."""
    stopped = threading.Event()
    followers = [Follower(scene, stopped) for _ in range(FOLLOWERS)]
    with ThreadPoolExecutor(FOLLOWERS) as threads:
        running = [threads.submit(follower.run) for follower in followers]
        try:
            for victim, _ in zip(cycle(KILLED), scene.every(KILL_SECONDS), strict=False):
                scene.mark_fault()
                scene.stack[victim].wipe_out()
                scene.stack[victim].start()
        finally:
            stopped.set()
        for one in running:
            one.result()
    followed, reconnected = (sum(getattr(one, name) for one in followers) for name in ("followed", "reconnected"))
    scene.notes.append(f"{followed} streams told their end, {reconnected} were opened again")
    scene.check(followed, "streams are followed")
    problems = [problem for follower in followers for problem in follower.problems]
    scene.check(not problems, f"{len(problems)} streams failed, the first: {problems[:1]}")
