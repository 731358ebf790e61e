"""The record of the clients: submitted rows, accepted rows, and response times."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.oracle import Outcome

# Temporary refusals, valid with Retry-After. Any other response except an acceptance is a defect.
REFUSALS = {503, 429}


@dataclass(frozen=True)
class Submission:
    """A submitted row. `x` determines the right answer, or `answer` is it; `allowed_errors` are right too.

    `features` replaces the input of the probe, for other models.
    """

    x: float
    allowed_errors: tuple[str, ...] = ()
    answer: Outcome | None = None
    features: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Accepted:
    id: str
    at: float


@dataclass
class Ledger:
    """Thread-safe. Each row has a number, which is also its Idempotency-Key."""

    submitted: dict[int, Submission] = field(default_factory=dict)
    accepted: dict[int, Accepted] = field(default_factory=dict)
    refused: int = 0
    without_response: int = 0
    longest: float = 0.0
    unexpected: Counter[str] = field(default_factory=Counter)
    faults: list[float] = field(default_factory=list)
    # (time, seconds) of each response
    latencies: list[tuple[float, float]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def mark_fault(self) -> None:
        """Record that a fault begins now."""
        self.faults.append(time.time())

    def record(self, number: int, response: httpx.Response, seconds: float) -> bool:
        """Record a response. True if it accepts the row."""
        with self._lock:
            self.longest = max(self.longest, seconds)
            self.latencies.append((time.time(), seconds))
            if response.status_code in {200, 202}:
                self._accept(number, str(response.json()["id"]))
                return True
            if response.status_code in REFUSALS and response.headers.get("Retry-After", "").isdigit():
                self.refused += 1
            else:
                self.unexpected[f"{response.status_code} {response.text[:200]}"] += 1
            return False

    def record_no_response(self, seconds: float, error: httpx.TransportError) -> None:
        """Record a broken connection or a timeout: the server promised nothing."""
        with self._lock:
            self.without_response += 1
            self.longest = max(self.longest, seconds)
            if isinstance(error, httpx.ReadTimeout):
                self.unexpected["request without a response"] += 1

    def _accept(self, number: int, prediction_id: str) -> None:
        earlier = self.accepted.setdefault(number, Accepted(prediction_id, time.time()))
        if earlier.id != prediction_id:
            self.unexpected["two predictions for one Idempotency-Key"] += 1

    def accepted_between(self, start: float, end: float) -> int:
        return sum(start < one.at < end for one in self.accepted.values())
