"""The client's side of the books: what was asked, what was promised, and how long the promise took."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

# "Not now" with a time to come back; anything else but an acceptance is a defect.
REFUSALS = {503, 429}


@dataclass(frozen=True)
class Asked:
    """A row: `x` decides the right answer; an error of `or_else` is right too."""

    x: float
    or_else: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accepted:
    id: str
    at: float


@dataclass
class Ledger:
    """Safe for threads. A number names one row, and is its Idempotency-Key."""

    asked: dict[int, Asked] = field(default_factory=dict)
    accepted: dict[int, Accepted] = field(default_factory=dict)
    refused: int = 0
    unanswered: int = 0
    longest: float = 0.0
    unexpected: Counter[str] = field(default_factory=Counter)
    faults: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self) -> None:
        """A fault strikes now."""
        self.faults.append(time.time())

    def note(self, number: int, response: httpx.Response, seconds: float) -> bool:
        """Write an answer down; True if it is an acceptance."""
        with self._lock:
            self.longest = max(self.longest, seconds)
            if response.status_code in {200, 202}:
                self._accept(number, str(response.json()["id"]))
                return True
            if response.status_code in REFUSALS and response.headers.get("Retry-After", "").isdigit():
                self.refused += 1
            else:
                self.unexpected[f"{response.status_code} {response.text[:200]}"] += 1
            return False

    def note_silence(self, seconds: float, error: httpx.TransportError) -> None:
        """No answer: the connection broke, or the time was over. Nothing was promised."""
        with self._lock:
            self.unanswered += 1
            self.longest = max(self.longest, seconds)
            if isinstance(error, httpx.ReadTimeout):
                self.unexpected["no answer at all"] += 1

    def _accept(self, number: int, prediction_id: str) -> None:
        earlier = self.accepted.setdefault(number, Accepted(prediction_id, time.time()))
        if earlier.id != prediction_id:
            self.unexpected["two predictions for one Idempotency-Key"] += 1

    def accepted_between(self, start: float, end: float) -> int:
        return sum(start < one.at < end for one in self.accepted.values())
